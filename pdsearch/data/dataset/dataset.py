"""The data set used for training: three splits of images or other arrays, and the statistics to normalise them.

It is written as a file, decoded and split a few images at a time, so that it may be larger than memory; the file is one
of safetensors, which can be memory-mapped.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pdsearch.data.dataset.split import chunks, parts
from pdsearch.data.registry import RawData
from pdsearch.errors import ConfigError
from pdsearch.input_spec import InputSpec
from pdsearch.specs import DataSpec, Json

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Images, or other inputs of one shape, and their labels.

    Args:
        images: uint8 (N, C, H, W), or float32 (N, ...) of any shape.
        labels: int64 (N,).
        crop: Height and width of their views, at most those of the images; 0 is the whole images.

    Raises:
        ConfigError: The crop is larger than the images, or they are no maps (C, H, W).
    """

    images: Tensor
    labels: Tensor
    crop: int = 0

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape[1:])
        if self.crop and (len(shape) != 3 or self.crop > min(shape[1:])):
            what = f"crops of {self.crop} pixels are not in inputs of shape {shape}"
            raise ConfigError(
                what, where="data.crop", hint="set data.options.image_size above it, or leave it out"
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def inputs(self) -> InputSpec:
        """Shape and type of a view: of an image, its crop, or another input."""
        dtype = "uint8" if self.images.dtype == torch.uint8 else "float32"
        channels, *sides = self.images.shape[1:]
        return InputSpec((channels, *([self.crop] * 2 if self.crop else sides)), dtype)


@dataclass(frozen=True)
class Dataset:
    """A data set ready for training.

    Args:
        train: Training split.
        val: Validation split, used by the search; empty when val_fraction is 0.
        test: Test split, used for confirmed results only.
        classes: Class names, by index.
        mean: Mean of the training split by channel, float32 (C,), in the inputs' own units (0 to 255 for
            images); 0 with `normalise: none`.
        std: Standard deviation likewise; 1 for a constant channel.
        notes: Notes for the user on how the set was read, a line each.
    """

    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> InputSpec:
        """Shape and type of an image, or other input."""
        return self.train.inputs

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)


def to_meta(classes: Sequence[str], notes: Sequence[str] = ()) -> dict[str, Json]:
    """Return the values that are not tensors: the class names, and notes if there are any."""
    return {"classes": list(classes), **({"notes": list(notes)} if notes else {})}


def from_tensors(tensors: Mapping[str, Tensor], meta: Mapping[str, Any], *, crop: int = 0) -> Dataset:
    """Return the set of what `store` wrote and of `to_meta`; its views are a crop of the images if that is not 0."""
    train, val, test = (Split(tensors[f"{part}.images"], tensors[f"{part}.labels"], crop) for part in PARTS)
    notes = tuple(meta.get("notes", ()))
    return Dataset(train, val, test, tuple(meta["classes"]), tensors["mean"], tensors["std"], notes)


KINDS = {"int64": "I64", "float32": "F32", "uint8": "U8"}


Tell = Callable[[int, int], None]
"""Progress callback: tell(images decoded, images in all)."""


def store(raw: RawData, spec: DataSpec, file: Path, tell: Tell = lambda done, total: None) -> None:  # noqa: ARG005
    """Write the split images of a source, with their labels and statistics, as one safetensors file.

    A source's test images depend neither on split_seed nor on subset.

    Raises:
        ConfigError: The set is too small for the requested split.
        DataError: An image cannot be decoded, or there are no test images.
    """
    found = parts(raw, spec)
    inputs = raw.inputs
    channels = inputs.channels
    layout = {
        **{f"{name}.labels": ("int64", part.labels.shape) for name, part in found.items()},
        **dict.fromkeys(("mean", "std"), ("float32", (channels,))),
        **{
            f"{name}.images": (inputs.dtype, (len(part.index), *inputs.shape)) for name, part in found.items()
        },
    }
    values = Histogram(channels) if inputs.dtype == "uint8" else Moments(channels)
    with file.open("wb") as stream:
        stream.write(_header(layout))
        for part in found.values():
            stream.write(np.ascontiguousarray(part.labels, dtype="<i8").data)
        place = stream.tell()
        stream.write(bytes(8 * channels))
        done, total = 0, sum(len(part.index) for part in found.values())
        for name, part in found.items():
            for chunk in chunks(part, inputs):
                stream.write(np.ascontiguousarray(chunk, chunk.dtype.newbyteorder("<")).data)
                if name == "train":
                    values.add(chunk)
                done += len(chunk)
                tell(done, total)
        mean, std = values.mean, values.std
        if spec.normalise == "none":
            mean, std = np.zeros_like(mean), np.ones_like(std)
        stream.seek(place)
        stream.write(mean.astype("<f4").tobytes() + std.astype("<f4").tobytes())


def _header(layout: dict[str, tuple[str, tuple[int, ...]]]) -> bytes:
    described, end = {}, 0
    for name, (kind, shape) in layout.items():
        start, end = end, end + int(np.prod(shape)) * np.dtype(kind).itemsize
        described[name] = {"dtype": KINDS[kind], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # Aligns the tensors to the size of their elements.
    return len(text).to_bytes(8, "little") + text


VALUES = np.arange(256, dtype=np.float64)
Channels: TypeAlias = NDArray[np.float32]


class Histogram:
    """Exact statistics of bytes: counts are integers, so that the order of additions does not matter."""

    def __init__(self, channels: int) -> None:
        self._counts = np.zeros((channels, 256), dtype=np.int64)

    def add(self, values: NDArray[np.uint8 | np.float32]) -> None:
        """Count the values of images (N, C, ...)."""
        for channel, counts in enumerate(self._counts):
            counts += np.bincount(values[:, channel].ravel(), minlength=256)

    @property
    def mean(self) -> Channels:
        """Mean of each channel, (C,)."""
        return np.array(self._means(), dtype=np.float32)

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel, (C,); 1 for a constant one."""
        spread = [
            float(counts @ (VALUES - mean) ** 2) / counts.sum()
            for counts, mean in zip(self._counts, self._means(), strict=True)
        ]
        return np.array([variance**0.5 or 1.0 for variance in spread], dtype=np.float32)

    def _means(self) -> list[float]:
        return [float(counts @ VALUES) / counts.sum() for counts in self._counts]


class Moments:
    """Statistics of float32 values in float64, joined chunk by chunk.

    Args:
        channels: Length of the first axis of an example.

    Source:
        Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    def __init__(self, channels: int) -> None:
        self._count, self._mean, self._squares = 0, np.zeros(channels), np.zeros(channels)

    def add(self, values: NDArray[np.uint8 | np.float32]) -> None:
        """Include the values of some examples (N, C, ...)."""
        by_channel = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)
        added, count = by_channel.shape[1], self._count + by_channel.shape[1]
        mean = by_channel.mean(axis=1)
        squares = ((by_channel - mean[:, None]) ** 2).sum(axis=1)
        self._squares += squares + (mean - self._mean) ** 2 * (self._count * added / count)
        self._mean += (mean - self._mean) * (added / count)
        self._count = count

    @property
    def mean(self) -> Channels:
        """Mean of each channel, (C,)."""
        return self._mean.astype(np.float32)

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel, (C,); 1 for one that is constant, up to rounding."""
        spread = np.sqrt(self._squares / self._count)
        constant = spread <= 1e-7 * np.abs(self._mean)
        return np.where(constant, 1.0, spread).astype(np.float32)
