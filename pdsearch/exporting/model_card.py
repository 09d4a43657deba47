"""The model card of an exported configuration, as Markdown."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pdsearch.analysis.display_names import of_what, several
from pdsearch.analysis.ranked import QUESTIONS, Ranked
from pdsearch.analysis.study_table import Row
from pdsearch.analysis.tables import percent, show_estimate, show_gain
from pdsearch.exporting.config_file import Needs
from pdsearch.exporting.student_file import Card
from pdsearch.pipeline.networks import CONSTANT
from pdsearch.user_code import is_dotted

_PARTS = {"val": "validation", "test": "test"}


@dataclass(frozen=True)
class Built:
    """A network of an exported folder.

    Args:
        card: Its description.
        accuracy: Of each of its files, on validation and test images ("val", "test"), in [0, 1], measured as it ships.
        constants: Whether its file holds buffers that a state dict leaves out.
        onnx_deviation: Largest relative difference of its ONNX file from it; None without such a file.
    """

    card: Card
    accuracy: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    constants: bool = False
    onnx_deviation: float | None = None


def model_card(
    row: Ranked, study: str, *, student: Built | None, needs: Needs, teacher: Built | None = None
) -> str:
    """Return card.md of one exported configuration; its lines are yielded, a paragraph's last with its line break."""
    built = student.card if student else None
    parts = (
        _head(row, study),
        _student(row.best),
        _numbers(row, student),
        _teacher(row),
        _use(built),
        *([_own_code(row.best, student)] if student and is_dotted(student.card.model) else []),
        _without_torch(student),
        *([_exported_teacher(row.best, teacher)] if teacher else []),
        _again(row.best, needs),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(row: Ranked, study: str) -> Iterator[str]:
    place = f"rank {row.rank}" if row.rank else "confirmed" if row.confirmed else "unconfirmed"
    yield f"# {row.best.student_model}, taught by {row.label}\n"
    yield f"From the study `{study}`, {place} among the teachers of such students. Written by `pdsearch export`."
    if not row.confirmed:
        yield ""
        yield (
            "**Not confirmed**: the accuracy below is that of one student; one of another seed will differ."
            if row.once
            else "**Not confirmed**: the accuracy below is the best of a search, no estimate."
        )
    yield ""


def _student(best: Row) -> Iterator[str]:
    spec = best.record.spec
    data = spec.data
    yield f"- Student: `{best.student_model}`, {_count(best.student_params)} weights."
    shape = json.loads(best.student_options) | {
        name: f"{kept} of {whole}" for name, (kept, whole) in json.loads(best.student_widths).items()
    }
    if shape:
        yield f"- Shape: {', '.join(f'`{name}` {value}' for name, value in shape.items())}."
    yield f"- Cost: {_count(best.student_flops)} floating-point operations an image (a multiply-add is two)."
    yield f"- Data: `{data.source}`, validation share {data.val_fraction}."
    yield f"- Fingerprint of the data: `{data.fingerprint}`."
    yield f"- Precision: trained in {spec.precision}; its files compute in fp32."
    yield f"- Seeds of this student: {best.student_seed} (initialisation, order), {best.view_seed} (views).\n"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _numbers(row: Ranked, student: Built | None) -> Iterator[str]:
    yield "## How good\n"
    yield "| | validation % | test % |"
    yield "| --- | ---: | ---: |"
    for name, share in (student.accuracy if student else {}).items():
        yield f"| `{name}`, measured in fp32 | {percent(share.get('val'))} | {percent(share.get('test'))} |"
    best = f"{percent(row.best.val_accuracy)} | {percent(row.best.test_accuracy)}"
    yield f"| this student when it was trained, in {row.best.record.spec.precision} | {best} |"
    if row.confirmed:
        yield f"| mean of {row.seeds} such students | {show_estimate(row.val)} | {show_estimate(row.test)} |"
    for question, words in QUESTIONS.items():
        val, test = row.gains_val.get(question), row.gains_test.get(question)
        if val or test:
            yield f"| {words} | {show_gain(val)} | {show_gain(test)} |"
    yield ""
    shown = row.estimates()
    if any(estimate.low is not None for estimate in shown):
        yield f"± and [ ] are 95 % intervals{row.over}; gains are paired by seed. Expect the mean."
    if any(estimate.all_equal for estimate in shown):
        yield "Values that are all equal have no interval, for their spread is not known."
    if row.confirmed and all(estimate.n == 1 for estimate in shown):
        yield "One value gives no interval: confirm with more seeds before relying on it."
    yield ""


def _teacher(row: Ranked) -> Iterator[str]:
    best = row.best
    rounds = several(best.prune_rounds or 0, "round")
    yield "## Its teacher\n"
    if best.teacher_config is None:
        yield "None: trained on labels alone."
    elif best.prune_method is None:
        yield f"`{best.teacher_model}`, unpruned{_teacher_accuracy(row)}."
    elif best.teacher_sparsity == 0:
        yield f"`{best.teacher_model}`, whole, trained on for {rounds} (`{best.prune_method}`),"
        yield f"recovery {best.prune_recovery}{_teacher_accuracy(row)}."
    else:
        yield f"`{best.teacher_model}` pruned by `{best.prune_method}` to {percent(best.teacher_sparsity)} % sparsity"
        yield f"(of {of_what(best.teacher_prunable, best.teacher_params)})"
        how = f"in {rounds}, {best.prune_schedule}, recovery {best.prune_recovery}"
        yield f"{how}{_teacher_accuracy(row)}."
    yield ""


def _teacher_accuracy(row: Ranked) -> str:
    known = (("validation", row.teacher_val), ("test", row.teacher_test))
    return "".join(f", {percent(share)} % on {images} images" for images, share in known if share is not None)


def _use(built: Card | None) -> Iterator[str]:
    if built is None:
        yield "No trained student lies here: its trial was stopped early. Run `pdsearch run config.yaml`.\n"
        return
    yield "## Use\n"
    yield "```python"
    yield "from pdsearch import load_student, read_card\n"
    yield 'student = load_student(".")'
    yield f"logits = student(student.preprocess({built.noun}))  # {built.noun}: {_images(built)}"
    yield 'names = [read_card(".").classes[i] for i in logits.argmax(1)]'
    yield "```\n"
    if built.inputs.is_image:
        yield "`student.preprocess` also takes one image, as its path, a Pillow image, or an array (H, W, C), brought"
        yield f"to that shape as the training images were: {built.reading()}.\n"
    yield f"It knows the classes and the kind of {built.noun} it was trained on and nothing else; its errors on"
    yield f"other {built.noun} were not measured.\n"


def _own_code(best: Row, student: Built) -> Iterator[str]:
    """Yield what is required to build the user's own network, and how to do without pdsearch."""
    built = student.card
    module, _, name = built.model.partition(":")
    options = "".join(f", {option}={value!r}" for option, value in built.options)
    code = best.record.spec.student.code or best.record.spec.teacher.code
    yield f"Its architecture is code of the user's own: `{module}` must be importable where the student is loaded,"
    if built.widths:
        yield f"from a file of SHA-256 `{code}`. Its narrowed layers are cut by `load_student`, which needs pdsearch.\n"
        return
    yield f"from a file of SHA-256 `{code}`. pdsearch is not needed:\n"
    yield "```python"
    yield f"from {module} import {name}"
    yield "from safetensors.torch import load_file\n"
    sizes = ", ".join(f"{name}={value}" for name, value in built.build_arguments().items())
    yield f"student = {name}({sizes}{options})"
    if student.constants:
        yield 'state = load_file("student.safetensors")'
        yield f'constants = {{name: state.pop(name) for name in list(state) if name.startswith("{CONSTANT}")}}'
        yield "student.load_state_dict(state)"
        yield "for name, value in constants.items():  # buffers that a state dict leaves out"
        yield f'    student.get_buffer(name.removeprefix("{CONSTANT}")).copy_(value)'
    else:
        yield 'student.load_state_dict(load_file("student.safetensors"))'
    unit = ", 0 to 255" if built.inputs.is_image else ""
    yield f"mean, std = {list(built.mean)}, {list(built.std)}  # of each channel{unit}"
    yield "```\n"


def _images(built: Card) -> str:
    shape = ", ".join(map(str, built.inputs.shape))
    return f"{built.inputs.dtype} (any number, {shape}){', 0 to 255' if built.inputs.is_image else ''}"


def _exported_teacher(best: Row, teacher: Built) -> Iterator[str]:
    """Yield what teacher.safetensors holds, and how to use it."""
    card = teacher.card
    yield "## The teacher itself\n"
    yield f"`teacher.safetensors` holds `{card.model}` as it taught: {_count(best.teacher_params)} weights,"
    yield f"{_left(card)}."
    if card.widths:
        yield f"Channels left: {', '.join(f'`{name}` {width}' for name, width in card.widths)}."
    for name, share in teacher.accuracy.items():
        shown = ", ".join(f"{percent(value)} % of the {_PARTS[part]} images" for part, value in share.items())
        yield f"`{name}`, measured in fp32, has {shown} right."
    yield ""
    yield "```python"
    yield "from pdsearch import load_teacher\n"
    yield 'teacher = load_teacher(".")'
    yield f"logits = teacher(teacher.preprocess({card.noun}))"
    yield "```\n"
    if teacher.onnx_deviation is not None:
        yield "`teacher.onnx` is used as `student.onnx` is, its metadata is under `teacher`. Its logits differed from"
        yield f"PyTorch's by at most {teacher.onnx_deviation:.0e} of the largest one.\n"


def _left(card: Card) -> str:
    if not card.sparsity:
        return "none pruned"
    share = f"{percent(card.sparsity)} % of the prunable ones"
    return f"what is left after the channels of {share} were removed" if card.widths else f"{share} zero"


def _without_torch(student: Built | None) -> Iterator[str]:
    if student is None or student.onnx_deviation is None:
        return
    built, onnx_deviation = student.card, student.onnx_deviation
    yield "## Use without PyTorch\n"
    yield f"`student.onnx` takes the same {built.noun}, preprocessing included, any number at once, in float32. Its"
    yield f"metadata holds the classes. On random {built.noun} its logits differed from PyTorch's by at most"
    yield f"{onnx_deviation:.0e} of the largest one.\n"
    yield "```python"
    yield "import json, onnxruntime\n"
    yield 'session = onnxruntime.InferenceSession("student.onnx", providers=["CPUExecutionProvider"])'
    yield 'classes = json.loads(session.get_modelmeta().custom_metadata_map["student"])["classes"]'
    yield f'(logits,) = session.run(["logits"], {{"{built.noun}": {built.noun}}})  # {built.noun}: {_images(built)}'
    yield "names = [classes[i] for i in logits.argmax(1)]"
    yield "```\n"


def _again(best: Row, needs: Needs) -> Iterator[str]:
    yield "## Again\n"
    yield f"`{needs.command()}`, from any folder, trains the teacher, prunes it and teaches this student, same seeds;"
    yield "what its storage still holds of them is taken, not computed again. It needs\n"
    for line in needs.lines():
        yield f"- {line}."
    yield ""
    yield f"Elsewhere, say where they lie: `{needs.elsewhere}`. Paths are no part of what a trial is: equal images,"
    yield "weights and code make the same one.\n"
    yield f"Key of the trial: `{best.key}`. Equal bits need the same"
    yield "machine type, versions and thread count."
