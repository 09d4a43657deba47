"""Notes on classes that have too few images in one of the splits: a line for each kind."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.dataset.dataset import Dataset

__all__ = ["lacking"]

SHOWN = 5


def lacking(data: Dataset) -> Iterator[str]:
    """Yield a line for each kind of missing images by class (training, validation, test); none if all have some.

    Args:
        data: The split set.
    """
    train, val, test = (_counts(part.labels.numpy(), data) for part in (data.train, data.val, data.test))
    everywhere = train + val + test
    if np.count_nonzero(everywhere) == 1:
        yield f"all images are of one class, {data.classes[int(everywhere.argmax())]}: there is nothing to learn"
        return
    used = everywhere > 0
    yield from _line(data.classes, ~used, "no image")
    yield from _line(data.classes, used & (train == 0), "no training image")
    yield from _line(data.classes, train == 1, "a single training image")
    if len(data.val):
        yield from _line(data.classes, used & (val == 0), "no validation image")
    yield from _line(data.classes, used & (test == 0), "no test image")


def _counts(labels: NDArray[np.int64], data: Dataset) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=data.num_classes)


def _line(classes: Sequence[str], chosen: NDArray[np.bool_], what: str) -> Iterator[str]:
    names = [classes[position] for position in np.flatnonzero(chosen).tolist()]
    if names:
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        verb = "has" if len(names) == 1 else "have"
        yield f"{len(names):,} of {len(classes):,} classes {verb} {what}: {shown}"
