"""Checks of the arrays that a source returns: types, shapes and labels."""

from typing import Any

import numpy as np

from pdsearch.data.registry import RawData
from pdsearch.errors import DataError

__all__ = ["checked"]


def checked(raw: RawData, where: str) -> RawData:
    """Check a set against the types, shapes and ranges of `RawData`, and return it; test images may be None.

    Raises:
        DataError: It violates one; the message says what and where.
    """
    parts = ("train", "test") if len(raw.test_labels) or len(raw.test_images) else ("train",)
    for part in parts:
        images, labels = getattr(raw, f"{part}_images"), getattr(raw, f"{part}_labels")
        wrong = _wrong(images, labels, len(raw.classes))
        if wrong:
            hint = "expected images uint8 (N, C, H, H) and labels int64 (N,), counted from 0"
            raise DataError(f"{part}: {wrong}", where=where, hint=hint)
    shapes = [tuple(getattr(raw, f"{part}_images").shape[1:]) for part in parts]
    if shapes[0] != shapes[-1]:
        raise DataError(f"training and test images differ: {shapes[0]} and {shapes[1]}", where=where)
    return raw


def _wrong(images: Any, labels: Any, classes: int) -> str | None:
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[2] != shape[3] or 0 in shape:
        return f"images of shape {shape}"
    if getattr(images, "dtype", np.uint8) != np.uint8:
        return f"images of type {images.dtype}"
    if labels.shape != shape[:1]:
        return f"{shape[0]} images and labels of shape {labels.shape}"
    if labels.dtype != np.int64:
        return f"labels of type {labels.dtype}"
    if labels.min() < 0 or labels.max() >= classes:
        return f"labels from {labels.min()} to {labels.max()} of {classes} classes"
    return None
