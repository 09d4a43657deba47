"""Cache of stage results: an artifact is loaded if the store has it, else built and published."""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pdsearch.artifacts import Entry, building
from pdsearch.io import remove_tree
from pdsearch.pipeline.context import WorkerContext
from pdsearch.protocol import Progress, Use
from pdsearch.specs import Json

E = TypeVar("E")
T = TypeVar("T")

TENSORS = "tensors.safetensors"


@dataclass(frozen=True)
class Made:
    """The result of a stage: tensors and metadata.

    Args:
        tensors: By name; or, where they do not fit in memory, a function that writes them to a safetensors file.
        meta: Metadata for the manifest.
    """

    tensors: Mapping[str, Tensor] | Callable[[Path], None]
    meta: dict[str, Json]


def obtain(
    site: WorkerContext, stage: str, key: str, make: Callable[[], Generator[E, None, Made]]
) -> Generator[E | Progress, None, Entry]:
    """Return the artifact of a key, built if the store lacks it; while another worker builds it, report and wait."""
    began = time.monotonic()
    with building(site.store, stage, key) as turn:
        for waited in turn.wait():
            yield Progress(stage, note=f"another worker makes it ({waited:.0f} s)")
        if turn.entry is None:
            with site.account.making(stage, key):
                made = yield from make()
            meta: dict[str, Json] = {**made.meta, "seconds": round(time.monotonic() - began, 3)}
            turn.publish(lambda folder: _write(folder, made.tensors), meta)
            remove_tree(site.progress / key)  # Its checkpoint is no longer needed.
        entry, hit = turn.entry, turn.hit
    assert entry is not None
    site.account.used(Use(stage, key, hit, _seconds(entry)))
    return entry


def drain(stage: Generator[Progress, None, T]) -> T:
    """Run a stage to its end and discard its progress: for small stages inside a training step."""
    while True:
        try:
            next(stage)
        except StopIteration as end:
            return cast("T", end.value)


def tensors(entry: Entry) -> dict[str, Tensor]:
    """Return an artifact's tensors, memory-mapped, so that the processes of a node share one copy."""
    return load_file(entry.path(TENSORS))


def _write(folder: Path, made: Mapping[str, Tensor] | Callable[[Path], None]) -> None:
    if callable(made):
        made(folder / TENSORS)
    else:
        save_file({name: _plain(tensor) for name, tensor in made.items()}, folder / TENSORS)


def _plain(tensor: Tensor) -> Tensor:
    # A copy in the default memory layout, so that the file's bytes depend on the values alone.
    return tensor.detach().to("cpu").clone(memory_format=torch.contiguous_format)


def _seconds(entry: Entry) -> float:
    """Return the seconds that building it took."""
    seconds = entry.meta.get("seconds", 0.0)
    return float(seconds) if isinstance(seconds, int | float) else 0.0
