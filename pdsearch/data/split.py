"""Which images are used, and which are held out for validation? Drawn by class, from the split seed alone."""

import numpy as np
from numpy.typing import NDArray

from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec, derive_seed

__all__ = ["balanced_counts", "choose", "proportional_counts", "split"]

Indices = NDArray[np.int64]


def balanced_counts(available: list[int], total: int) -> list[int]:
    """Return how many to take of each class so that the counts are as equal as the classes allow.

    Args:
        available: Images of each class.
        total: Images to take, <= sum(available).
    """
    counts = [0] * len(available)
    order = sorted(range(len(available)), key=lambda label: (available[label], label))
    left = total
    for position, label in enumerate(order):
        counts[label] = min(available[label], left // (len(order) - position))
        left -= counts[label]
    return counts


def proportional_counts(available: list[int], total: int) -> list[int]:
    """Return how many to take of each class so that every class gives the same share (largest remainders)."""
    whole = sum(available)
    counts = [total * images // whole for images in available]
    by_remainder = sorted(
        range(len(available)), key=lambda label: (-(total * available[label] % whole), label)
    )
    for label in by_remainder[: total - sum(counts)]:
        counts[label] += 1
    return counts


def choose(labels: NDArray[np.int64], counts: list[int], seed: int) -> Indices:
    """Return sorted positions, counts[k] of class k; a larger choice contains a smaller one."""
    # Raw output of a bit generator: unlike permutations, NumPy promises never to change it.
    keys = np.random.PCG64(seed).random_raw(len(labels))
    taken = []
    for label, count in enumerate(counts):
        of_class = np.flatnonzero(labels == label)
        taken.append(of_class[np.argsort(keys[of_class], kind="stable")[:count]])
    return np.sort(np.concatenate(taken)).astype(np.int64)


def split(labels: NDArray[np.int64], classes: int, spec: DataSpec) -> tuple[Indices, Indices]:
    """Return the positions of the training and of the validation images among a source's training images.

    The subset is drawn first, as equal in its classes as they allow; the validation images are then cut from
    it, the same share of every class. With val_fraction 0 there are none.

    Raises:
        ConfigError: More images are asked for than there are, or a part would be empty.
    """
    used = np.arange(len(labels), dtype=np.int64)
    if spec.subset is not None:
        counts = balanced_counts(_sizes(labels, classes), _subset(spec.subset, len(labels)))
        used = choose(labels, counts, _seed(spec, "subset"))
    held = round(len(used) * _fraction(spec.val_fraction))
    if held == len(used) or (held == 0 and spec.val_fraction > 0):
        part = "validation" if held == 0 else "training"
        hint = "use a larger subset or another val_fraction"
        raise ConfigError(f"no image is left for {part} of {len(used)}", where="data.val_fraction", hint=hint)
    cut = choose(labels[used], proportional_counts(_sizes(labels[used], classes), held), _seed(spec, "val"))
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
