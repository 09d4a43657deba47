"""Validators of single values: names of parts, metrics, constraints, durations, folders."""

import math
import re
from collections.abc import Sequence
from functools import partial

from pydantic_core import PydanticCustomError

from pdsearch.config.catalog import PUBLISHED, registered_names, registry
from pdsearch.config.ledger_url import BESIDE, ledger_hint, read_ledger_url
from pdsearch.config.problems import Problems, quoted
from pdsearch.config.yaml_reader import resolve_scalar
from pdsearch.config.yaml_tree import Node
from pdsearch.errors import ConfigError, nearest
from pdsearch.io.place import flaw, is_url
from pdsearch.objectives import VAL_ACCURACY, Constraint
from pdsearch.records.codec import decode
from pdsearch.specs import PruneSpec
from pdsearch.user_code import is_dotted

DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,8})s)?")
DURATION_SCHEMA = {"type": "string", "pattern": f"^(?=.){DURATION.pattern}$"}
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def format_duration(seconds: int) -> str:
    """Return a duration in whole seconds as text; the inverse of `duration_seconds`."""
    text = ""
    for unit, size in SECONDS.items():
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text


METRICS = ("student.val_accuracy", "student.params", "student.flops", "student.latency")
"""Metrics that can be an objective or have a constraint."""

OWN_FOLDERS = ("artifacts", "progress", "speeds")
"""Folders of a storage that hold no study."""

CHECKPOINTS = (".safetensors", ".pth", ".pt", ".pth.tar", ".ckpt", ".bin")
"""Endings of files of weights: of safetensors and, all others, of torch.save."""

GPU_UNITS = 10_000
"""Ray's units of a GPU. Shares are rounded down to them, so that e.g. a seventh fits seven times."""


def complaint(what: str, hint: str) -> PydanticCustomError:
    """Return an error whose message pydantic passes through unchanged."""
    return PydanticCustomError("complaint", "{what}", {"what": what, "hint": hint})


def _known(field: str, word: str, others: str = "") -> str:
    """Check that a word is a part that a field may name; others are the forms of names that are not listed."""
    known = registered_names(field)
    if word in known:
        return word
    if is_dotted(word) or word.startswith(PUBLISHED):
        try:
            registry(field).get(word)
        except ConfigError as error:
            raise complaint(error.what, error.hint or "name another") from None
        return word
    raise _unknown(registry(field).kind, word, known, others)


def _unknown(noun: str, word: str, known: Sequence[str], others: str = "") -> PydanticCustomError:
    return complaint(
        f"unknown {noun} {quoted(word)}", f"{nearest(word, known)}known: {', '.join(known)}{others}"
    )


_FORMS = "; torchvision/NAME, timm/NAME, package.module:function"
source = partial(_known, "data.source")
model = partial(_known, "teacher.model", others=_FORMS)
student_model = partial(_known, "student.model", others=_FORMS)
method = partial(_known, "prune.method")
loss = partial(_known, "distill.loss")
sampler = partial(_known, "search.sampler")


def metric(word: str) -> str:
    """Check that a word is a metric."""
    if word not in METRICS:
        raise _unknown("metric", word, sorted(METRICS))
    return word


def width(value: object) -> tuple[str, int]:
    """Check a layer's width, a list of a weight's name and a number of channels."""
    match value:
        case [str(name), int(channels)] if not isinstance(channels, bool):
            pass
        case _:
            raise complaint(f"not a layer's width: {quoted(value)}", "write [NAME.weight, CHANNELS]")
    if channels < 1:
        raise complaint(f"{channels} channels of {name}", "a layer has at least one")
    return name, channels


def pruning(value: dict[str, object]) -> dict[str, object]:
    """Check the whole pruning of a teacher, as an export writes it."""
    try:
        _ = decode(PruneSpec, value).after_round
    except ValueError as error:
        raise complaint(f"not a pruning: {error}", "take it from an exported config.yaml") from None
    return value


def augmentations(value: object) -> object:
    """Convert a list of augmentations to their names joined by `+`."""
    return "+".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value


def canonical_augmentation(word: str) -> str:
    """Validate augmentations joined by `+` and return their canonical form."""
    from pdsearch.data.augmentation_parser import canonical  # loads NumPy

    for part in word.split("+"):
        _known("data.augment", part.partition("(")[0].strip())
    try:
        return canonical(word)
    except ConfigError as error:
        raise complaint(error.what, error.hint or "name another") from None


def number(value: object) -> object:
    """Accept an integer or a float unchanged."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise complaint(f"expected a number, got {quoted(value)}", "write a number")
    return value


def gpu(value: object) -> object:
    """Accept a share of one GPU, rounded down to Ray's units; other values are left to the field's own rules."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        return value
    if value > 1:
        raise complaint(
            f"a trial trains on one GPU at most, and {quoted(value)} would hold more of them",
            "write 1 for a whole GPU, or a share such as 0.5 or 0.25, which packs several trials on one",
        )
    share = math.floor(value * GPU_UNITS + 1e-6) / GPU_UNITS
    if value > 0 and share == 0:
        hint = f"write {1 / GPU_UNITS:g} or more, or 0 for none"
        raise complaint(f"Ray counts GPUs in shares of {1 / GPU_UNITS:g}, and {quoted(value)} is less", hint)
    return share


def option(value: object) -> object:
    """Accept the value of an option: a scalar, or a list of such."""
    if isinstance(value, list) and value:
        return [option(item) for item in value]
    if not isinstance(value, bool | int | float | str):
        raise complaint(
            f"expected a word, a number or a list, got {quoted(value)}", "write one, or remove the key"
        )
    return value


def duration_seconds(value: object) -> int:
    """Convert a duration such as "1h30m" to seconds; it is not zero."""
    match = DURATION.fullmatch(str(value))
    counts = match.groups("0") if match else ()
    seconds = sum(int(count) * unit for count, unit in zip(counts, SECONDS.values(), strict=False))
    if seconds == 0:
        raise complaint(f"expected a time, got {quoted(value)}", "write it as 90s, 12h or 1h30m")
    return seconds


def switch(value: object) -> object:
    """Convert the word `off` to None; null, true and false do not mean it."""
    if value is None or isinstance(value, bool):
        raise complaint(f"expected a mapping or off, got {quoted(value)}", "write `off`, or what to do")
    return None if value == "off" else value


def ledger(value: str) -> str:
    """Accept the URL of the Optuna study; a refused value is not shown, since it may hold a password."""
    if value == BESIDE:
        return value
    try:
        read_ledger_url(value)
    except ValueError as error:
        raise complaint(f"the ledger's URL: {error}", ledger_hint(str(error))) from None
    return value


def checkpoint(value: str) -> str:
    """Accept the name of a file of weights."""
    if not value.endswith(CHECKPOINTS):
        hint = f"name a file that ends in {', '.join(CHECKPOINTS)}"
        raise complaint(f"{quoted(value)} is no file of weights by its name", hint)
    return value


def study(value: str) -> str:
    """Accept the name of a study that is not a folder which a storage has beside its studies."""
    if value in OWN_FOLDERS:
        raise complaint(f"a storage has a folder {value} of its own", "name the study otherwise")
    return value


def storage(value: str) -> str:
    """Accept a folder, or the URL of an object storage that holds no secret."""
    if value.startswith("ray://"):
        raise complaint(
            "ray:// is no storage", "name a folder or a shared mount; the driver runs on the cluster"
        )
    wrong = flaw(value) if is_url(value) else None
    if wrong is not None:
        raise complaint(*wrong)
    if not value.strip():
        raise complaint("the storage has no name", "name a folder, e.g. runs/")
    return value


def read_constraints(texts: list[str], root: Node, problems: Problems) -> tuple[Constraint, ...]:
    """Read all constraints of a file, reporting mistakes."""
    found: list[Constraint] = []
    for i, text in enumerate(texts):
        try:
            constraint = _read(text)
            _check_possible(constraint, found)
            found.append(constraint)
        except ValueError as error:
            problems.add_at(root, ("constraints", i), *error.args)
    return tuple(found)


def _read(text: str) -> Constraint:
    match = Constraint.FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{quoted(text)} is no constraint", "write `metric <= number` or `metric >= number`")
    metric, op, bound = match.groups()
    if metric not in METRICS:
        raise ValueError(
            f"unknown metric {quoted(metric)}", f"{nearest(metric, METRICS)}known: {', '.join(METRICS)}"
        )
    hint = "write `metric <= number`, e.g. student.params <= 15e6"
    try:
        value = resolve_scalar(bound)
    except ValueError as error:  # Not finite, or too long.
        raise ValueError(str(error), hint) from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{quoted(bound)} is no number", hint)
    return Constraint(metric, op, float(value))


def _check_possible(constraint: Constraint, others: list[Constraint]) -> None:
    """Refuse a limit that no trial can satisfy, alone or together with the others."""
    bound, most = constraint.bound, 1.0 if constraint.metric == VAL_ACCURACY else math.inf
    if constraint.op == ">=" and bound > most:
        hint = f"an accuracy is a share: write {VAL_ACCURACY} >= {bound / 100:g}, or a number below 1"
        raise ValueError(f"no accuracy is {bound:g} or more", hint)
    if constraint.op == "<=" and (bound < 0 or (bound == 0 and constraint.metric != VAL_ACCURACY)):
        raise ValueError(f"no {constraint.metric} is {bound:g} or less", "write a larger number")
    for other in others:
        opposite = other.metric == constraint.metric and other.op != constraint.op
        if opposite and not other.holds(bound):
            raise ValueError(f"no trial can keep both {other} and {constraint}", "widen one of them")
