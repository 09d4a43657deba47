"""Write a data set as a file, decoded and split a few images at a time, so that it may be larger than memory.

The file equals what `safetensors` writes for `pdsearch.data.to_tensors`, so that it can be memory-mapped. One chunk of
images and all labels are in memory at a time.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdsearch.data.dataset.pixel_statistics import Histogram
from pdsearch.data.dataset.split import parts
from pdsearch.data.registry import Images, RawData
from pdsearch.specs import DataSpec

__all__ = ["CHUNK_BYTES", "store"]

CHUNK_BYTES = 2**24
"""Bytes of decoded images in memory at once; at least one image."""

Indices = NDArray[np.int64]
KINDS = {"int64": "I64", "float32": "F32", "uint8": "U8"}


Tell = Callable[[int, int], None]
"""Progress callback: tell(images decoded, images in all)."""


def store(raw: RawData, spec: DataSpec, file: Path, tell: Tell = lambda done, total: None) -> None:  # noqa: ARG005
    """Write the split images of a source, with their labels and statistics, as one safetensors file.

    Args:
        raw: The set as its source returned it.
        spec: Defines the split.
        file: The file to write; replaced if it exists.
        tell: Called after every chunk.

    Raises:
        ConfigError: The set is too small for the requested split.
        DataError: An image cannot be decoded, or there are no test images.
    """
    found = parts(raw, spec)
    channels = raw.train_images.shape[1]
    layout = {
        **{f"{name}.labels": ("int64", part.labels.shape) for name, part in found.items()},
        **dict.fromkeys(("mean", "std"), ("float32", (channels,))),
        **{
            f"{name}.images": ("uint8", (len(part.index), *part.images.shape[1:]))
            for name, part in found.items()
        },
    }
    values = Histogram(channels)
    with file.open("wb") as stream:
        stream.write(_header(layout))
        for part in found.values():
            stream.write(np.ascontiguousarray(part.labels, dtype="<i8").data)
        statistics = stream.tell()
        stream.write(bytes(8 * channels))
        done, total = 0, sum(len(part.index) for part in found.values())
        for name, part in found.items():
            for chunk in _chunks(part.images, part.index):
                stream.write(np.ascontiguousarray(chunk).data)
                if name == "train":
                    values.add(chunk)
                done += len(chunk)
                tell(done, total)
        stream.seek(statistics)
        stream.write(values.mean.astype("<f4").tobytes() + values.std.astype("<f4").tobytes())


def _chunks(images: Images, index: Indices) -> Iterator[NDArray[np.uint8]]:
    each = max(1, CHUNK_BYTES // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(index), each):
        yield images[index[start : start + each]]


def _header(layout: dict[str, tuple[str, tuple[int, ...]]]) -> bytes:
    described, end = {}, 0
    for name, (kind, shape) in layout.items():
        start, end = end, end + int(np.prod(shape)) * np.dtype(kind).itemsize
        described[name] = {"dtype": KINDS[kind], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # Aligns the tensors to the size of their elements.
    return len(text).to_bytes(8, "little") + text
