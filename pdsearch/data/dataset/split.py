"""Training, validation and test split, stratified by class and drawn from the split seed alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.options import cut_for_test
from pdsearch.data.registry import Images, RawData
from pdsearch.errors import ConfigError, DataError
from pdsearch.input_spec import InputSpec
from pdsearch.specs import DataSpec, derive_seed

CHUNK_BYTES = 2**24
"""Bytes of decoded inputs in memory at once; at least one input."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SplitPart:
    """One part of a set.

    Args:
        images: All images that the part is taken from.
        index: Positions in `images`, ascending.
        labels: Labels of the selected images, int64.
        tested: Whether `images` are the source's test images.
    """

    images: Images
    index: Indices
    labels: NDArray[np.int64]
    tested: bool = False


def parts(raw: RawData, spec: DataSpec) -> dict[str, SplitPart]:
    """Return the parts "train", "val" and "test" of a source's images.

    If the source has no test images, they are cut off first; `split` divides the rest.

    Raises:
        ConfigError: As `split`; or `test_fraction` is set although there are test images, or would leave no image.
        DataError: There are no test images, and `test_fraction` is not set.
    """
    pool = np.arange(len(raw.train_labels), dtype=np.int64)
    every = np.arange(len(raw.test_labels), dtype=np.int64)
    test = SplitPart(raw.test_images, every, raw.test_labels, tested=True)
    if cut_for_test(spec, has_test=len(raw.test_labels) > 0, where=f"source {spec.source}"):
        cut = _cut_for_test(raw.train_labels, len(raw.classes), spec)
        pool, test = np.delete(pool, cut), SplitPart(raw.train_images, cut, raw.train_labels[cut])
    train, val = (pool[found] for found in split_positions(raw.train_labels[pool], len(raw.classes), spec))
    return {
        "train": SplitPart(raw.train_images, train, raw.train_labels[train]),
        "val": SplitPart(raw.train_images, val, raw.train_labels[val]),
        "test": test,
    }


def chunks(part: SplitPart, inputs: InputSpec) -> Iterator[NDArray[Any]]:
    """Yield the inputs of a part in order, CHUNK_BYTES at a time.

    Raises:
        DataError: One cannot be decoded, or holds values that are not finite.
    """
    each = max(1, CHUNK_BYTES // max(1, inputs.nbytes))
    for start in range(0, len(part.index), each):
        index = part.index[start : start + each]
        chunk = part.images[index]
        if inputs.dtype == "float32":
            broken = np.flatnonzero(~np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1))
            if len(broken):
                position = int(index[broken[0]])
                named = f"{'test' if part.tested else 'training'} input {{}}, counted from 0"
                place: Any = getattr(part.images, "place", named.format)
                hint = "leave it out, or replace NaN and infinity by numbers of float32"
                raise DataError(
                    "the input holds values that are not finite", where=place(position), hint=hint
                )
        yield chunk


def _cut_for_test(labels: NDArray[np.int64], classes: int, spec: DataSpec) -> Indices:
    """Return the positions of the test images: the same share of every class, always leaving one image for training."""
    available = _sizes(labels, classes)
    wanted = round(len(labels) * spec.test_fraction)
    counts = [
        min(count, max(0, images - 1))
        for count, images in zip(proportional_counts(available, wanted), available, strict=True)
    ]
    if not sum(counts):
        what = f"no image is left for testing of {len(labels)}"
        raise ConfigError(what, where="data.test_fraction", hint="make it larger")
    return choose_positions(labels, counts, _seed(spec, "test"))


def balanced_counts(available: list[int], total: int) -> list[int]:
    """Return the number of images to take of each class, as equal as the classes allow."""
    counts = [0] * len(available)
    order = sorted(range(len(available)), key=lambda label: (available[label], label))
    left = total
    for position, label in enumerate(order):
        counts[label] = min(available[label], left // (len(order) - position))
        left -= counts[label]
    return counts


def proportional_counts(available: list[int], total: int) -> list[int]:
    """Return the number of images to take of each class, the same share of each (largest remainders)."""
    whole = sum(available)
    counts = [total * images // whole for images in available]
    by_remainder = sorted(
        range(len(available)), key=lambda label: (-(total * available[label] % whole), label)
    )
    for label in by_remainder[: total - sum(counts)]:
        counts[label] += 1
    return counts


def choose_positions(labels: NDArray[np.int64], counts: list[int], seed: int) -> Indices:
    """Return sorted positions, counts[k] of class k; a larger choice contains a smaller one."""
    # Raw output of a bit generator: NumPy guarantees that it never changes, unlike permutations.
    keys = np.random.PCG64(seed).random_raw(len(labels))
    taken = []
    for label, count in enumerate(counts):
        of_class = np.flatnonzero(labels == label)
        taken.append(of_class[np.argsort(keys[of_class], kind="stable")[:count]])
    return np.sort(np.concatenate(taken)).astype(np.int64)


def split_positions(labels: NDArray[np.int64], classes: int, spec: DataSpec) -> tuple[Indices, Indices]:
    """Return the positions of the training and of the validation images among a source's training images.

    The subset is drawn first, as equal in its classes as they allow; the validation images are then cut from
    it, the same share of every class. With val_fraction 0 there are none.

    Raises:
        ConfigError: More images are requested than there are, or a part would be empty.
    """
    used = np.arange(len(labels), dtype=np.int64)
    if spec.subset is not None:
        counts = balanced_counts(_sizes(labels, classes), _subset(spec.subset, len(labels)))
        used = choose_positions(labels, counts, _seed(spec, "subset"))
    held = round(len(used) * _fraction(spec.val_fraction))
    if held == len(used) or (held == 0 and spec.val_fraction > 0):
        part = "validation" if held == 0 else "training"
        hint = "use a larger subset or another val_fraction"
        raise ConfigError(f"no image is left for {part} of {len(used)}", where="data.val_fraction", hint=hint)
    cut = choose_positions(
        labels[used], proportional_counts(_sizes(labels[used], classes), held), _seed(spec, "val")
    )
    return np.delete(used, cut), used[cut]


def _sizes(labels: NDArray[np.int64], classes: int) -> list[int]:
    return [int(count) for count in np.bincount(labels, minlength=classes)]


def _seed(spec: DataSpec, purpose: str) -> int:
    return derive_seed(spec.split_seed, purpose)


def _subset(subset: int, images: int) -> int:
    if not 1 <= subset <= images:
        hint = f"use {images} at most, or leave it out for all"
        raise ConfigError(f"subset {subset} of {images} training images", where="data.subset", hint=hint)
    return subset


def _fraction(fraction: float) -> float:
    if not 0 <= fraction < 1:
        raise ConfigError(f"val_fraction {fraction} is not in [0, 1)", where="data.val_fraction")
    return fraction
