"""Parser of augmentation names such as `crop_flip+mixup(0.2)`."""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

from pdsearch.data.registry import AnyAugmentation, Augmentation, Mixing, augmentations
from pdsearch.errors import ConfigError
from pdsearch.input_spec import APPLIES_TO, InputSpec
from pdsearch.user_code import called

SEPARATOR = "+"
UNCHANGED = "none"

WHERE = "data.augment"
"""The field of augmentations."""

_PART = re.compile(r"([A-Za-z]\w*)(?:\(([^()]*)\))?")


@dataclass(frozen=True)
class Chain:
    """Augmentations in the order in which they are applied, with their names.

    Args:
        changes: Augmentations of single images.
        mixing: The augmentation that mixes the changed images, if any.
    """

    changes: tuple[tuple[str, Augmentation], ...]
    mixing: tuple[str, Mixing] | None

    @property
    def entries(self) -> list[tuple[str, AnyAugmentation]]:
        """All augmentations with their names, the mixing one last."""
        return [*self.changes, *([self.mixing] if self.mixing else [])]

    @property
    def crops(self) -> bool:
        """Whether the first augmentation chooses the part of an image that is seen."""
        return bool(self.changes) and _rank(self.changes[0][1]) == FIRST

    @property
    def constant(self) -> bool:
        """Whether all epochs have the same views."""
        return self.mixing is None and all(_constant(*change) for change in self.changes)


def chain(augment: str) -> Chain:
    """Parse a name into its augmentations.

    Raises:
        ConfigError: One of them is unknown, takes no such number, or is in the wrong position.
    """
    parts = [_part(text.strip()) for text in augment.split(SEPARATOR)]
    names = [name for name, _ in parts]
    if UNCHANGED in names and len(names) > 1:
        raise ConfigError("none goes with no other augmentation", where=WHERE, hint="leave it out")
    if len(set(names)) < len(names):
        raise ConfigError(f"{augment} names an augmentation twice", where=WHERE, hint="name each once")
    changes = [(name, entry) for name, entry in parts if not isinstance(entry, Mixing)]
    mixings = [(name, entry) for name, entry in parts if isinstance(entry, Mixing)]
    if len(mixings) > 1 or (mixings and mixings[0][0] != names[-1]):
        hint = f"put one of them last: {SEPARATOR.join([*(name for name, _ in changes), mixings[0][0]])}"
        known = " or ".join(name for name, _ in mixings)
        raise ConfigError(f"images are mixed once, after all else ({known})", where=WHERE, hint=hint)
    ranks = [_rank(entry) for _, entry in changes]
    for n, rank in enumerate(ranks[1:], start=1):
        if rank < ranks[n - 1] or rank == FIRST:
            where = (
                "first"
                if rank == FIRST
                else f"before {changes[n - 1][0]}, which is applied to normalised images"
            )
            raise ConfigError(f"{changes[n][0]} comes {where}", where=WHERE, hint="change their order")
    return Chain(tuple(changes), mixings[0] if mixings else None)


def _constant(name: str, change: Augmentation) -> bool:
    with called(name, WHERE, ConfigError):
        return change.constant


FIRST, BEFORE, AFTER = range(3)


def _rank(entry: object) -> int:
    """Return where an augmentation may stand: first, before normalisation or after it."""
    # Not by isinstance: that may read the user's own `constant`, in an order that changes from process to process.
    if hasattr(type(entry), "crop"):
        return FIRST
    return AFTER if getattr(entry, "after_normalising", False) else BEFORE


def canonical(augment: str) -> str:
    """Return the canonical form of a name, used in keys: no spaces, no numbers equal to the default.

    Raises:
        ConfigError: As `chain`.
    """
    return SEPARATOR.join(_text(name, entry) for name, entry in chain(augment).entries)


def check_applies(augment: str, inputs: InputSpec) -> None:
    """Check that every augmentation of a name applies to the inputs of a data set.

    Raises:
        ConfigError: One does not.
    """
    for name, entry in chain(augment).entries:
        if not inputs.fits(_applies_to(entry)):
            fitting = [n for n in augmentations.names() if inputs.fits(_applies_to(augmentations.get(n)))]
            what = f"{name} is for {APPLIES_TO[_applies_to(entry)]}, not for {inputs}"
            raise ConfigError(what, where=WHERE, hint=f"these apply: {', '.join(fitting)}")


def _applies_to(entry: object) -> str:
    return str(getattr(entry, "applies_to", "square images"))


def _part(text: str) -> tuple[str, AnyAugmentation]:
    match = _PART.fullmatch(text)
    if match is None:
        hint = "write a name, a name with a number as in mixup(0.2), or several joined by +"
        raise ConfigError(f"{text!r} is no augmentation", where=WHERE, hint=hint)
    name, number = match.groups()
    entry = augmentations.get(name)
    return name, entry if number is None else _with_number(name, entry, number)


def _with_number(name: str, entry: Any, text: str) -> Any:
    field = _field(entry)
    if field is None:
        raise ConfigError(f"{name} takes no number", where=WHERE, hint=f"write {name}")
    low, high = field.metadata["low"], field.metadata["high"]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    whole = isinstance(field.default, int)
    if not low <= value <= high or (whole and not value.is_integer()):
        hint = f"{field.name} is a {'whole ' if whole else ''}number from {low:g} to {high:g}"
        raise ConfigError(f"{name}({text}) is out of range", where=WHERE, hint=hint)
    return dataclasses.replace(entry, **{field.name: int(value) if whole else value})


def _text(name: str, entry: object) -> str:
    field = _field(entry)
    if field is None or getattr(entry, field.name) == field.default:
        return name
    return f"{name}({getattr(entry, field.name):g})"


def _field(entry: object) -> "dataclasses.Field[Any] | None":
    """Return the field that the number in brackets sets: the first declared with `pdsearch.registry.parameter`."""
    fields = dataclasses.fields(entry) if dataclasses.is_dataclass(entry) else ()
    return next((field for field in fields if "help" in field.metadata), None)
