"""Arrays as inputs: images of bytes stay bytes, channels first, other numbers become float32; checks of a set."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.registry import Images, RawData
from pdsearch.errors import DataError
from pdsearch.input_spec import InputSpec

CHANNELS = (1, 3, 4)
"""Lengths of the last axis by which images of bytes are taken to have channels last."""


@dataclass(frozen=True)
class Layout:
    """How stored values become inputs.

    Args:
        inputs: Shape and type of an input.
        last: Whether the stored values have channels last.
    """

    inputs: InputSpec
    last: bool = False

    def convert(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return inputs (N, ...) of stored values (N, ...); values beyond float32 become infinite."""
        turned = np.moveaxis(values, -1, 1) if self.last else values
        with np.errstate(over="ignore"):
            return turned.reshape(len(values), *self.inputs.shape).astype(self.inputs.dtype, copy=False)

    def notes(self) -> Iterable[str]:
        """Yield notes on how the axes are read."""
        shape = self.inputs.shape
        if self.last:
            yield f"images are stored with channels last and read as {self.inputs}"
        elif self.inputs.is_map and _channels_last(shape):
            yield f"inputs are read as {self.inputs}, channels first: move the last axis if it holds the channels"


def layout_of(kind: Any, shape: tuple[int, ...], where: str) -> Layout:
    """Return how values are read: bytes (H, W), (C, H, W) or (H, W, C) as images, all other numbers as float32.

    Args:
        kind: The values' type, for numpy.
        shape: Shape of one input as it is stored; () is read as (1,).
        where: Where they lie, for messages.

    Raises:
        DataError: They are no real numbers, or there are none.
    """
    kind = np.dtype(kind)
    if kind.kind not in "buif":
        hint = "store real numbers; pickled objects are never read"
        raise DataError(f"values of type {kind} are no inputs", where=where, hint=hint)
    if 0 in shape:
        raise DataError(f"inputs of shape {shape} hold nothing", where=where)
    if kind == np.uint8 and len(shape) in (2, 3):
        if len(shape) == 2:
            return Layout(InputSpec((1, *shape)))
        last = _channels_last(shape)
        return Layout(InputSpec((shape[2], *shape[:2]) if last else shape), last)
    return Layout(InputSpec(shape or (1,), "float32"))


def _channels_last(shape: tuple[int, ...]) -> bool:
    height, width, last = shape
    return last in CHANNELS and (height not in CHANNELS or height == width != last)


@dataclass(frozen=True)
class ArrayInputs:
    """An array, in memory or mapped from a file, whose inputs are converted when indexed."""

    values: NDArray[Any]
    layout: Layout
    where: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self.values), *self.layout.inputs.shape)

    @property
    def dtype(self) -> str:
        """Type of an input, "uint8" or "float32"."""
        return self.layout.inputs.dtype

    def __len__(self) -> int:
        """Return N."""
        return len(self.values)

    def __getitem__(self, index: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the inputs at some positions."""
        return self.layout.convert(self.values[index])

    def place(self, position: int) -> str:
        """Return the location of an input, for messages."""
        return f"{self.where}, row {position}"


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


def _inputs(images: Images) -> InputSpec:
    return InputSpec(tuple(images.shape[1:]), np.dtype(getattr(images, "dtype", np.uint8)).name)


def _wrong(images: Images, labels: NDArray[np.int64], classes: int) -> str | None:
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
