"""Checkpoints of a training, within an epoch too, and how often they are written."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor

from pdsearch.io import Place, Remote, place, read, remove_tree, replace
from pdsearch.io.durable import storage_errors
from pdsearch.specs import Json, canonical_json
from pdsearch.training.reports import EpochReport
from pdsearch.training.state import TrainingState

__all__ = [
    "BEGIN",
    "PREFIX",
    "Checkpoint",
    "EpochPart",
    "TrainingProgress",
    "random_states",
    "restore_random",
]

SHARE = 0.05
"""Writing takes about this share of the time at most."""

LONGEST_S = 120.0
"""However slow the storage, no more than this is at stake: one write that hung would else put off the next for long."""


class Checkpoint:
    """The progress of one training run: one file or object, replaced as a whole, so that it is never torn.

    Args:
        folder: Where it lies; created when first written.
        interval_s: Seconds from one write's begin to the next one's, at least; 0 writes whenever it is asked.
        clock: Tells the seconds.
    """

    def __init__(
        self,
        folder: str | Place,
        *,
        interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._interval, self._clock = place(folder), interval_s, clock
        self._last, self._cost = clock(), 0.0

    @property
    def path(self) -> Place:
        """The file, or the object."""
        return self._folder / "progress.safetensors"

    def due(self) -> bool:
        """Return whether it is time to save again."""
        wait = max(self._interval, min(self._cost / SHARE, LONGEST_S)) if self._interval > 0 else 0
        return self._clock() - self._last >= wait

    def save(self, identity: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Json]) -> None:
        """Replace the stored progress.

        Args:
            identity: Of the training; another one will not load this progress.
            tensors: On the CPU and contiguous.
            meta: Everything that is no tensor.

        Raises:
            StorageError: It could not be written; the former progress is still there.
        """
        start = self._clock()
        text = canonical_json({"identity": identity, "meta": dict(meta)})
        with storage_errors(str(self.path)):
            self._replace(dict(tensors), {"progress": text, "checksum": _checksum(text, tensors)})
        # What is stored is the state of this moment: work that is lost is counted from here.
        self._last, self._cost = start, self._clock() - start

    def load(self, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the stored tensors and meta; None if there are none, broken ones, or another run's."""
        found = _stored(self.path)
        if found is None:
            return None
        stored, tensors = found
        text = stored.get("progress", "")
        if stored.get("checksum") != _checksum(text, tensors):
            return None
        content = json.loads(text)
        return (tensors, content["meta"]) if content["identity"] == identity else None

    def clear(self) -> None:
        """Remove the progress and what interrupted writers left; the result is stored elsewhere by now."""
        if isinstance(self._folder, Remote):
            remove_tree(self._folder)
            return
        for file in self._folder.glob(f"{self.path.name}*"):
            file.unlink(missing_ok=True)

    def _replace(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        if isinstance(self._folder, Remote):
            replace(self.path, save(tensors, metadata))
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / self.path.name
        fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            save_file(tensors, fresh, metadata=metadata)
            _fsync(fresh)
            os.replace(fresh, path)
            _fsync(self._folder)
        finally:
            fresh.unlink(missing_ok=True)


def _stored(path: Place) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """Return what was written: texts and tensors; None if there is nothing, or nothing whole."""
    try:
        if isinstance(path, Remote):
            content = read(path)
            return None if content is None else (_texts(content), load(content))
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return file.metadata() or {}, tensors
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


def _texts(content: bytes) -> dict[str, str]:
    """Return the texts in the header of a safetensors file: its length in eight bytes, then JSON."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(header.get("__metadata__", {}))


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


PREFIX = "part/"
"""Begins the names of the tensors of a part, among those of the training's state."""


@dataclass(frozen=True)
class EpochPart:
    """The first steps of an epoch.

    Args:
        steps: Done.
        seconds: They took.
        total: Sum of the losses of their images, (), float64; None before the first.
        random: States of the generators after them, by type of device.
    """

    steps: int = 0
    seconds: float = 0.0
    total: Tensor | None = None
    random: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, on the CPU."""
        assert self.total is not None
        found = {"total": self.total, **{f"random/{name}": state for name, state in self.random.items()}}
        return {PREFIX + name: tensor.detach().cpu().clone() for name, tensor in found.items()}

    def meta(self) -> dict[str, Json]:
        """Return what is no tensor."""
        return {"steps": self.steps, "seconds": self.seconds}

    def begin(self, device: str) -> Tensor:
        """Put the generators back to where they were; return the losses so far, on the device."""
        restore_random(self.random, device)
        start = torch.zeros((), dtype=torch.float64) if self.total is None else self.total.clone()
        return start.to(device)

    @classmethod
    def stored(cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> "EpochPart":
        """Rebuild a part from `tensors` and `meta`."""
        random = {
            name.removeprefix(f"{PREFIX}random/"): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{PREFIX}random/")
        }
        return cls(meta["steps"], meta["seconds"], tensors[f"{PREFIX}total"], random)


BEGIN = EpochPart()
"""Of an epoch of which nothing is done."""


def random_states(device: str) -> dict[str, Tensor]:
    """Return the states of the generators that a training on this device draws from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(torch.device(device))
    return states


def restore_random(states: Mapping[str, Tensor], device: str) -> None:
    """Put the generators that a training on this device draws from back to `random_states`."""
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        elif torch.device(device).type == name:
            torch.cuda.set_rng_state(state, torch.device(device))


class TrainingProgress:
    """The progress of one training. Invariant: `reports` are those of the whole epochs that `state` has seen.

    Args:
        checkpoint: Where it is kept; None keeps nothing.
        identity: Of the training.
        state: What changes while it trains; `resume` puts it back.
    """

    def __init__(self, checkpoint: Checkpoint | None, identity: str, state: TrainingState) -> None:
        self._checkpoint, self._identity, self._state = checkpoint, identity, state
        self.reports: list[EpochReport] = []

    def resume(self) -> EpochPart:
        """Go back to what was kept, if anything was; return how far the epoch after the reports had come."""
        stored = self._checkpoint.load(self._identity) if self._checkpoint is not None else None
        if stored is None:
            return BEGIN
        tensors, meta = stored
        ours = {name: tensor for name, tensor in tensors.items() if not name.startswith(PREFIX)}
        self._state.restore(ours, meta["state"])
        self.reports = [EpochReport.from_json(report) for report in meta["reports"]]
        return EpochPart.stored(tensors, meta["part"]) if "part" in meta else BEGIN

    def keep(self, part: Callable[[], EpochPart] | None = None) -> bool:
        """Save if it is time to; say whether it was.

        Args:
            part: Returns how far the epoch after the reports has come; None where it has not begun.
        """
        due = self._checkpoint is not None and self._checkpoint.due()
        if due:
            self.save(part() if part is not None else None)
        return due

    def save(self, part: EpochPart | None = None) -> None:
        """Save, whether or not it is time to."""
        if self._checkpoint is None:
            return
        reports: list[Json] = [report.to_json() for report in self.reports]
        tensors = self._state.tensors()
        meta: dict[str, Json] = {"state": self._state.meta(), "reports": reports}
        if part is not None:
            tensors, meta = {**tensors, **part.tensors()}, {**meta, "part": part.meta()}
        self._checkpoint.save(self._identity, tensors, meta)
