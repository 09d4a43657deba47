"""What a data set holds, in words: counts, shape, and what about it may surprise; a line each."""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pdsearch.data.dataset.dataset import Dataset, Split
from pdsearch.specs import Json

SHOWN = 5
LONGEST = 40
"""Characters of a name that are shown."""

COARSE = 100
"""Below so many images, one of them is more than a point of accuracy."""

COMPARED_BYTES = 4 * 2**30
"""Up to this size all images are compared; that takes some seconds."""

Classes = NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """What a data set holds.

    Args:
        counts: The line on classes, images and their shape.
        notes: Lines on what may surprise.
        commonest: Share of the commonest class, in [0, 1], and number of images, of "val" and "test" if not empty.
    """

    counts: str
    notes: tuple[str, ...]
    commonest: dict[str, tuple[float, int]]

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines."""
        return (self.counts, *self.notes)

    def as_json(self) -> dict[str, Json]:
        """Return it as plain values, for study.json."""
        return {
            "read": list(self.lines),
            "commonest": {part: list(found) for part, found in self.commonest.items()},
        }


def contents(data: Dataset) -> Contents:
    """Return what a split set holds."""
    noun = data.inputs.noun
    parts = (("training", data.train), ("validation", data.val), ("test", data.test))
    numbers = ", ".join(f"{len(part):,} {name}" for name, part in parts)
    classes = f"{data.num_classes:,} class{'' if data.num_classes == 1 else 'es'} ({_some(data.classes)})"
    held = {"val": data.val, "test": data.test}
    return Contents(
        f"{numbers} {noun} of {data.inputs}, {classes}",
        (*data.notes, *_named(data.classes), *_lacking(data), *_coarse(data), *_equal(data)),
        {
            name: (float(_counts(part, data).max()) / len(part), len(part))
            for name, part in held.items()
            if len(part)
        },
    )


def _named(classes: Sequence[str]) -> Iterator[str]:
    """Yield a line on names that differ in nothing, or in case, spaces or the encoding of accents alone.

    And one on numbers in the order of words, so that logit 2 is not that of class 2.
    """
    found: dict[str, list[str]] = {}
    for name in classes:
        found.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    same = [repr(name) for names in found.values() if len(names) > 1 for name in names]
    if same:
        yield f"{len(same):,} classes have names alike, and may be meant to be one: {_some(same)}"
    if all(name.isdecimal() for name in classes) and [*classes] != sorted(classes, key=int):
        yield f"classes are numbers in the order of words, as the logits are: {_some(classes)}; 002 is before 010"


def _some(names: Sequence[str]) -> str:
    """Return the first of some names, cut where they are long, with escapes for what cannot be printed."""
    first = (name if name.isprintable() else repr(name)[1:-1] for name in names[:SHOWN])
    cut = [name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in first]
    return ", ".join(cut) + (", ..." if len(names) > SHOWN else "")


def _lacking(data: Dataset) -> Iterator[str]:
    """Yield a line for each kind of missing images by class (training, validation, test); none if all have some."""
    noun = data.inputs.noun
    train, val, test = (_counts(part, data) for part in (data.train, data.val, data.test))
    everywhere = train + val + test
    if np.count_nonzero(everywhere) == 1:
        name = _some([data.classes[int(everywhere.argmax())]])
        yield f"all {noun} are of one class, {name}: there is nothing to learn"
        return
    used, one = everywhere > 0, noun.removesuffix("s")
    unused = [*_line(data.classes, ~used, f"no {one}")]
    from_one = data.classes[0] == "0" and not used[0]
    yield from (f"{line}; labels count from 0" if from_one else line for line in unused)
    yield from _line(data.classes, used & (train == 0), f"no training {one}")
    yield from _line(data.classes, train == 1, f"a single training {one}")
    if len(data.val):
        yield from _line(data.classes, used & (val == 0), f"no validation {one}")
    yield from _line(data.classes, used & (test == 0), f"no test {one}")


def _counts(part: Split, data: Dataset) -> Classes:
    return np.bincount(part.labels.numpy(), minlength=data.num_classes)


def _line(classes: Sequence[str], chosen: NDArray[np.bool_], what: str) -> Iterator[str]:
    names = [classes[position] for position in np.flatnonzero(chosen).tolist()]
    if names:
        verb = "has" if len(names) == 1 else "have"
        yield f"{len(names):,} of {len(classes):,} classes {verb} {what}: {_some(names)}"


def _coarse(data: Dataset) -> Iterator[str]:
    for name, part in (("validation", data.val), ("test", data.test)):
        if 0 < len(part) < COARSE:
            one = data.inputs.noun.removesuffix("s")
            yield f"one {name} {one} is {100 / len(part):.2g} points of accuracy: smaller differences cannot show"


def _equal(data: Dataset) -> Iterator[str]:
    """Yield a line for each split in which some inputs are training inputs too, value for value."""
    noun = data.inputs.noun
    size = sum(part.images.nbytes for part in (data.train, data.val, data.test))
    if size > COMPARED_BYTES:
        yield f"not looked for equal {noun} in training and test: {size / 1e9:,.0f} GB"
        return
    seen = {*_hashes(data.train.images)}
    for name, part in (("validation", data.val), ("test", data.test)):
        found = sum(value in seen for value in _hashes(part.images))
        if found:
            yield (
                f"{found:,} of {len(part):,} {name} {noun} are training {noun} too:"
                f" {name} accuracy says less of new ones"
            )


def _hashes(images: Tensor) -> Iterator[bytes]:
    for image in images.numpy():
        yield hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
