"""Write a data set as a file, decoded and split a few images at a time, so that it may be larger than memory.

The file equals what `safetensors` writes for `pdsearch.data.to_tensors`, so that it can be memory-mapped. One chunk of
images and all labels are in memory at a time.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pdsearch.data.dataset.split import chunks, parts
from pdsearch.data.dataset.statistics import statistics
from pdsearch.data.registry import RawData
from pdsearch.specs import DataSpec

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
    inputs = raw.inputs
    channels = inputs.channels
    layout = {
        **{f"{name}.labels": ("int64", part.labels.shape) for name, part in found.items()},
        **dict.fromkeys(("mean", "std"), ("float32", (channels,))),
        **{
            f"{name}.images": (inputs.dtype, (len(part.index), *inputs.shape)) for name, part in found.items()
        },
    }
    values = statistics(inputs, spec.normalise)
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
        stream.seek(place)
        stream.write(values.mean.astype("<f4").tobytes() + values.std.astype("<f4").tobytes())


def _header(layout: dict[str, tuple[str, tuple[int, ...]]]) -> bytes:
    described, end = {}, 0
    for name, (kind, shape) in layout.items():
        start, end = end, end + int(np.prod(shape)) * np.dtype(kind).itemsize
        described[name] = {"dtype": KINDS[kind], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # Aligns the tensors to the size of their elements.
    return len(text).to_bytes(8, "little") + text
