"""Checks of the arrays that a source returns: types, shapes and labels."""

from typing import Any

import numpy as np

from pdsearch.data.registry import RawData
from pdsearch.errors import DataError
from pdsearch.input_spec import InputSpec


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
            hint = (
                "expected images uint8 (N, C, H, W) or inputs float32 (N, ...), and labels int64 (N,), from 0"
            )
            raise DataError(f"{part}: {wrong}", where=where, hint=hint)
    kinds = [_inputs(getattr(raw, f"{part}_images")) for part in parts]
    if kinds[0] != kinds[-1]:
        raise DataError(f"training and test inputs differ: {kinds[0]} and {kinds[1]}", where=where)
    return raw


def _inputs(images: Any) -> InputSpec:
    return InputSpec(tuple(images.shape[1:]), np.dtype(getattr(images, "dtype", np.uint8)).name)


def _wrong(images: Any, labels: Any, classes: int) -> str | None:
    shape = tuple(images.shape)
    if len(shape) < 2 or 0 in shape:
        return f"inputs of shape {shape}"
    found = _inputs(images)
    if found.dtype not in ("uint8", "float32"):
        return f"inputs of type {found.dtype}"
    if found.dtype == "uint8" and not found.is_image:
        return f"images of shape {shape}; other inputs are float32"
    if labels.shape != shape[:1]:
        return f"{shape[0]} images and labels of shape {labels.shape}"
    if labels.dtype != np.int64:
        return f"labels of type {labels.dtype}"
    if labels.min() < 0 or labels.max() >= classes:
        return f"labels from {labels.min()} to {labels.max()} of {classes} classes"
    return None
