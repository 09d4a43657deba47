"""Export of a study: a folder for each of the best teachers, with configuration, student and model card."""

import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdsearch.analysis import (
    QUESTIONS,
    Ranked,
    Ranking,
    Row,
    as_plain,
    percent,
    rank_teachers,
    read_study,
    shortfall,
    show_estimate,
    show_gain,
)
from pdsearch.artifacts import ArtifactStore, open_store
from pdsearch.errors import ConfigError, StorageError
from pdsearch.exporting.needs import CONFIG, Needs, from_anywhere, needs_of, storage_of
from pdsearch.exporting.onnx_file import require_onnx, save_onnx
from pdsearch.exporting.pinned import pinned_space, to_yaml
from pdsearch.exporting.student_file import STUDENT_FILE, Card, save_student
from pdsearch.exporting.trained import trained_student
from pdsearch.io import Place, resolved, subfolders
from pdsearch.io.durable import storage_errors
from pdsearch.io.record_files import BrokenRecord
from pdsearch.specs import TrialSpec, spec_from_json
from pdsearch.user_code import is_dotted

__all__ = [
    "Exported",
    "Origin",
    "export_ranked",
    "export_study",
    "model_card",
]


def model_card(
    row: Ranked, study: str, *, built: Card | None, needs: Needs, onnx_deviation: float | None = None
) -> str:
    """Return card.md of one exported configuration.

    Args:
        row: Its line of the ranking.
        study: Name of the study.
        built: Description of the exported student; None if there is none.
        needs: External files and code of the configuration.
        onnx_deviation: Largest relative difference of student.onnx from the student; None without an ONNX file.
    """
    parts = (
        _head(row, study),
        _student(row.best),
        _numbers(row),
        _teacher(row),
        _use(built),
        *([_own_code(row.best, built)] if built is not None and is_dotted(built.model) else []),
        _without_torch(built, onnx_deviation),
        _again(row.best, needs),
    )
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(row: Ranked, study: str) -> Iterator[str]:
    place = f"rank {row.rank}" if row.rank else "confirmed" if row.confirmed else "unconfirmed"
    yield f"# {row.best.student_model}, taught by {row.label}"
    yield ""
    yield f"From the study `{study}`, {place} among its teachers. Written by `pdsearch export`."
    if not row.confirmed:
        yield ""
        yield (
            "**Not confirmed**: the accuracy below is that of one student; one of another seed will differ."
            if row.once
            else "**Not confirmed**: the accuracy below is the best of a search, no estimate."
        )
    yield ""


def _student(best: Row) -> Iterator[str]:
    spec = json.loads(best.spec)
    data = spec["data"]
    yield f"- Student: `{best.student_model}`, {_count(best.student_params)} weights."
    shape = json.loads(best.student_options) | {
        name: f"{kept} of {whole}" for name, (kept, whole) in json.loads(best.student_widths).items()
    }
    if shape:
        yield f"- Shape: {', '.join(f'`{name}` {value}' for name, value in shape.items())}."
    yield f"- Cost: {_count(best.student_flops)} floating-point operations an image (a multiply-add is two)."
    yield f"- Data: `{data['source']}`, validation share {data['val_fraction']}."
    yield f"- Fingerprint of the data: `{data['fingerprint']}`."
    yield f"- Precision: trained and measured in {spec['precision']}."
    yield f"- Seeds of this student: {best.student_seed} (initialisation, order), {best.view_seed} (views)."
    yield ""


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _numbers(row: Ranked) -> Iterator[str]:
    yield "## How good"
    yield ""
    yield "| | validation % | test % |"
    yield "| --- | ---: | ---: |"
    yield f"| this student | {percent(row.best.val_accuracy)} | {percent(row.best.test_accuracy)} |"
    if row.confirmed:
        yield f"| mean of {row.seeds} such students | {show_estimate(row.val)} | {show_estimate(row.test)} |"
    for question, words in QUESTIONS.items():
        val, test = row.gains_val.get(question), row.gains_test.get(question)
        if val or test:
            yield f"| {words} | {show_gain(val)} | {show_gain(test)} |"
    yield ""
    shown = row.estimates()
    if any(estimate.low is not None for estimate in shown):
        yield "± and [ ] are 95 % t-intervals; gains are paired by seed. Expect the mean."
    if any(estimate.all_equal for estimate in shown):
        yield "Values that are all equal have no interval, for their spread is not known."
    if row.confirmed and all(estimate.n == 1 for estimate in shown):
        yield "One value gives no interval: confirm with more seeds before relying on it."
    yield ""


def _teacher(row: Ranked) -> Iterator[str]:
    best = row.best
    yield "## Its teacher"
    yield ""
    if best.teacher_config is None:
        yield "None: trained on labels alone."
    elif best.prune_method is None:
        yield f"`{best.teacher_model}`, unpruned{_teacher_accuracy(row)}."
    elif best.teacher_sparsity == 0:
        yield f"`{best.teacher_model}`, whole, trained on for {best.prune_rounds} round(s) (`{best.prune_method}`),"
        yield f"recovery {best.prune_recovery}{_teacher_accuracy(row)}."
    else:
        yield f"`{best.teacher_model}` pruned by `{best.prune_method}` to {percent(best.teacher_sparsity)} % sparsity"
        how = f"in {best.prune_rounds} round(s), {best.prune_schedule}, recovery {best.prune_recovery}"
        yield f"{how}{_teacher_accuracy(row)}."
    yield ""


def _teacher_accuracy(row: Ranked) -> str:
    known = (("validation", row.teacher_val), ("test", row.teacher_test))
    return "".join(f", {percent(share)} % on {images} images" for images, share in known if share is not None)


def _use(built: Card | None) -> Iterator[str]:
    if built is None:
        yield "No trained student lies here: its trial was stopped early. Run `pdsearch run config.yaml`."
        yield ""
        return
    yield "## Use"
    yield ""
    yield "```python"
    yield "from pdsearch import load_preprocess, load_student, read_card"
    yield ""
    yield 'student, preprocess = load_student("."), load_preprocess(".")'
    yield f"logits = student(preprocess(images))  # images: {_images(built)}"
    yield 'names = [read_card(".").classes[i] for i in logits.argmax(1)]'
    yield "```"
    yield ""
    yield "It knows the classes and the kind of images it was trained on and nothing else; its errors on"
    yield "other images were not measured."
    yield ""


def _own_code(best: Row, built: Card) -> Iterator[str]:
    """Yield what is required to build the user's own network, and how to do without pdsearch."""
    module, _, name = built.model.partition(":")
    options = "".join(f", {option}={value!r}" for option, value in built.options)
    code = json.loads(best.spec)["student"].get("code") or json.loads(best.spec)["teacher"].get("code")
    yield f"Its architecture is code of the user's own: `{module}` must be importable where the student is loaded,"
    if built.widths:
        yield f"from a file of SHA-256 `{code}`. Its narrowed layers are cut by `load_student`, which needs pdsearch."
        yield ""
        return
    yield f"from a file of SHA-256 `{code}`. pdsearch is not needed:"
    yield ""
    yield "```python"
    yield f"from {module} import {name}"
    yield "from safetensors.torch import load_file"
    yield ""
    sizes = f"num_classes={len(built.classes)}, channels={built.channels}, image_size={built.image_size}"
    yield f"student = {name}({sizes}{options})"
    yield 'student.load_state_dict(load_file("student.safetensors"))'
    yield f"mean, std = {list(built.mean)}, {list(built.std)}  # of each channel, 0 to 255"
    yield "```"
    yield ""


def _images(built: Card) -> str:
    return f"uint8 (any number, {built.channels}, {built.image_size}, {built.image_size}), 0 to 255"


def _without_torch(built: Card | None, onnx_deviation: float | None) -> Iterator[str]:
    if built is None or onnx_deviation is None:
        return
    yield "## Use without PyTorch"
    yield ""
    yield "`student.onnx` takes the same images, preprocessing included, any number at once, in float32. Its metadata"
    yield "holds the classes. On random images its logits differed from PyTorch's by at most"
    yield f"{onnx_deviation:.0e} of the largest one."
    yield ""
    yield "```python"
    yield "import json, onnxruntime"
    yield ""
    yield 'session = onnxruntime.InferenceSession("student.onnx", providers=["CPUExecutionProvider"])'
    yield 'classes = json.loads(session.get_modelmeta().custom_metadata_map["student"])["classes"]'
    yield f'(logits,) = session.run(["logits"], {{"images": images}})  # images: {_images(built)}'
    yield "names = [classes[i] for i in logits.argmax(1)]"
    yield "```"
    yield ""


def _again(best: Row, needs: Needs) -> Iterator[str]:
    yield "## Again"
    yield ""
    yield f"`{needs.command()}`, from any folder, trains the teacher, prunes it and teaches this student, same seeds;"
    yield "what its storage still holds of them is taken, not computed again. It needs"
    yield ""
    for line in needs.lines():
        yield f"- {line}."
    yield ""
    yield f"Elsewhere, say where they lie: `{needs.elsewhere}`. Paths are no part of what a trial is: equal images,"
    yield "weights and code make the same one."
    yield ""
    yield f"Key of the trial: `{best.key}`. Equal bits need the same"
    yield "machine type, versions and thread count."


@dataclass(frozen=True)
class Origin:
    """The study to export.

    Args:
        ranking: Ranking of the study.
        store: Its artifacts.
        storage: Storage in which exported configurations run again.
        about: Content of study.json.
    """

    ranking: Ranking
    store: ArtifactStore
    storage: str
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Exported:
    """One exported folder.

    Args:
        folder: Its path.
        command: Command that runs its configuration again on this machine, from the working directory of the export.
    """

    folder: Path
    command: str


def export_study(
    folder: str | Place,
    out: str | Path,
    *,
    top: int = 1,
    force: bool = False,
    artifacts: str | Place | None = None,
    onnx: bool = False,
    left_out: Callable[[Sequence[BrokenRecord]], None] = lambda _: None,
) -> list[Exported]:
    """Export the best teachers' configurations and students of a study.

    Args:
        folder: The study's folder.
        out: Parent of the exported folders.
        top: Number of teachers, best first.
        force: Replace exported folders of the same name.
        artifacts: The artifacts' folder; None means the one beside the study.
        onnx: Write every student as ONNX too.
        left_out: Called with the study's files that are no valid records.

    Returns:
        The exported folders, best first.

    Raises:
        ConfigError: There is nothing to export, a folder exists, or a package that ONNX needs is missing.
        PdsearchError: A student cannot be written as ONNX.
        StorageError: An artifact is missing, or a folder cannot be written.
    """
    if onnx:
        require_onnx()
    study = read_study(folder)
    left_out(study.broken)
    ranking = rank_teachers(study)
    chosen = ranking.top(top)
    if not chosen:
        missed = shortfall(study, ranking)
        hint = "search on, or loosen the constraint in a study of another name" if missed else "run it first"
        raise ConfigError(missed or "the study has no finished trial to export", where=str(folder), hint=hint)
    kept = resolved(artifacts) if artifacts else resolved(folder).parent / "artifacts"
    if any(row.best.student_artifact for row in chosen) and not subfolders(kept):
        hint = (
            "of a copied study, name its storage's: --artifacts runs/artifacts; are they gone, run it again"
        )
        raise StorageError("no artifacts lie here", where=str(kept), hint=hint)
    origin = Origin(ranking, open_store(kept), storage_of(resolved(folder), kept), study.about)
    return [
        export_ranked(row, origin, Path(out) / _name(place, row), force=force, onnx=onnx)
        for place, row in enumerate(chosen, start=1)
    ]


def export_ranked(
    row: Ranked, origin: Origin, target: Path, *, force: bool = False, onnx: bool = False
) -> Exported:
    """Write one exported folder atomically: under a temporary name, then renamed.

    Args:
        row: A line of a ranking.
        origin: The study.
        target: The folder to write.
        force: Replace an existing folder.
        onnx: Write the student as ONNX too.

    Raises:
        ConfigError: The folder exists.
        PdsearchError: The student cannot be written as ONNX.
        StorageError: An artifact is missing, or it cannot be written.
    """
    if target.exists() and not force:
        raise ConfigError(
            "is there already", where=str(target), hint="export with --force, or to another folder"
        )
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    with storage_errors(target):
        try:
            draft.mkdir(parents=True)
            needs = _write(draft, row, origin, onnx=onnx)
            _replace(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Exported(target, needs.command(str(target / CONFIG)))


def _write(folder: Path, row: Ranked, origin: Origin, *, onnx: bool) -> Needs:
    ranking = origin.ranking
    spec = from_anywhere(spec_from_json(json.loads(row.best.spec)))
    needs = needs_of(spec, origin.storage, origin.about)
    trained = trained_student(row.best, origin.store)
    deviation = None
    if trained is not None:
        save_student(folder / STUDENT_FILE, *trained)
        deviation = save_onnx(folder) if onnx else None
    result: dict[str, Any] = {
        "format": 1,
        "study": ranking.study,
        **as_plain(row),
        "footer": list(ranking.footer),
    }
    texts = {
        CONFIG: _config(row.best, spec, ranking.study, needs),
        "card.md": model_card(
            row, ranking.study, built=trained and trained[1], needs=needs, onnx_deviation=deviation
        ),
        "result.json": json.dumps(result, indent=2, allow_nan=False, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return needs


def _config(best: Row, spec: TrialSpec, study: str, needs: Needs) -> str:
    gpu = 1 if (best.device or "").startswith("cuda") else 0
    name = f"{study[:40]}-{best.key[:12]}"
    document = pinned_space(spec, study=name, storage=needs.storage, resources={"cpu": 1, "gpu": gpu})
    head = (
        f"# A trial of the study {study}, every parameter fixed. This runs it again, from any folder:",
        f"#     {needs.command()}",
        "# and this on another machine, with what card.md lists in place of FOLDER and FILE:",
        f"#     {needs.elsewhere}",
    )
    return "\n".join((*head, to_yaml(document)))


def _replace(draft: Path, target: Path) -> None:
    if not target.exists():
        draft.rename(target)
        return
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _name(place: int, row: Ranked) -> str:
    words = re.sub(r"[^A-Za-z0-9._]+", "-", row.label.replace("%", "")).strip("-.")
    return f"{place}-{words[:60]}"
