"""Reports and checkpoints of one training run, within an epoch too, and how often they are written."""

import hashlib
import json
import math
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

from pdsearch.errors import TrialError
from pdsearch.io import Place, Remote, place, read, remove_tree, replace
from pdsearch.io.durable import storage_errors
from pdsearch.records.codec import decode, encode
from pdsearch.specs import Json, canonical_json
from pdsearch.training.device import restore_random
from pdsearch.training.training_state import TrainingState


@dataclass(frozen=True)
class EpochReport:
    """The report of one finished epoch.

    Args:
        epoch: Number of the epoch, from 1.
        epochs: Epochs the training will take.
        loss: Mean training loss over the epoch's images; finite.
        val_accuracy: Result of `evaluate` after the epoch, in [0, 1]; finite. None if not measured.
        lr: Learning rate of the epoch's last step.
        seconds: Wall time of the epoch, evaluation included.

    Raises:
        TrialError: Loss or accuracy is not finite: the training diverged.
    """

    epoch: int
    epochs: int
    loss: float
    val_accuracy: float | None
    lr: float
    seconds: float

    def __post_init__(self) -> None:
        for name in ("loss", "val_accuracy"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise TrialError(f"diverged in epoch {self.epoch} of {self.epochs}: {name} is not finite")


SHARE = 0.05
"""Largest share of the time that may go into writing checkpoints, approximately."""

LONGEST_S = 120.0
"""Upper limit of the interval in seconds: otherwise one write that hung would delay the next one for long."""


class Checkpoint:
    """The checkpoint of one training run: one file or object, replaced atomically, so that it is never half-written.

    Args:
        folder: Folder of the file; created at the first write.
        interval_s: Minimum seconds between the starts of two writes; 0 makes every write due.
        clock: Returns the current time in seconds.
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
        """The checkpoint file, or the object in an object storage."""
        return self._folder / "progress.safetensors"

    def due(self) -> bool:
        """Return whether the next write is due."""
        wait = max(self._interval, min(self._cost / SHARE, LONGEST_S)) if self._interval > 0 else 0
        return self._clock() - self._last >= wait

    def save(self, identity: str, tensors: Mapping[str, Tensor], meta: Mapping[str, Json]) -> None:
        """Write the checkpoint in place of the former one.

        Args:
            identity: Identifies the training run; `load` with another identity ignores this checkpoint.
            tensors: Tensors by name, on the CPU and contiguous.
            meta: All state that is not a tensor.

        Raises:
            StorageError: It could not be written; the former checkpoint is still there.
        """
        start = self._clock()
        text = canonical_json({"identity": identity, "meta": dict(meta)})
        with storage_errors(str(self.path)):
            self._replace(dict(tensors), {"progress": text, "checksum": _checksum(text, tensors)})
        # The interval counts from the start of the write: later steps are not in this checkpoint.
        self._last, self._cost = start, self._clock() - start

    def load(self, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return the stored tensors and meta; None if missing, damaged, or written by another training run."""
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
        """Delete the checkpoint and files of interrupted writers, once the result is stored as an artifact."""
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
    """Return the stored metadata and tensors; None if the file is missing or incomplete."""
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
    """Return the metadata in the header of a safetensors file: its length in eight bytes, then JSON."""
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
"""Prefix that separates the tensors of an epoch part from those of the training state."""


@dataclass(frozen=True)
class EpochPart:
    """State of an epoch after its first steps, for resuming in the middle of an epoch.

    Args:
        steps: Number of finished steps.
        seconds: Time these steps took.
        total: Sum of the losses of their images, (), float64; None before the first step.
        random: Generator states after these steps, by device type or library.
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
        """Return all values that are not tensors."""
        return {"steps": self.steps, "seconds": self.seconds}

    def begin(self, device: str) -> Tensor:
        """Restore the generator states; return the sum of the losses so far, on the device."""
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
"""The part of an epoch that has not begun."""


class TrainingProgress:
    """State and reports of one training run. Invariant: `reports` cover exactly the finished epochs of `state`.

    Args:
        checkpoint: Where it is saved; None saves nothing.
        identity: Identifies the training run.
        state: The training state; `resume` restores it.
    """

    def __init__(self, checkpoint: Checkpoint | None, identity: str, state: TrainingState) -> None:
        self._checkpoint, self._identity, self._state = checkpoint, identity, state
        self.reports: list[EpochReport] = []

    def resume(self) -> EpochPart:
        """Restore the checkpoint, if there is one; return the state of the epoch that follows the reports."""
        stored = self._checkpoint.load(self._identity) if self._checkpoint is not None else None
        if stored is None:
            return BEGIN
        tensors, meta = stored
        ours = {name: tensor for name, tensor in tensors.items() if not name.startswith(PREFIX)}
        self._state.restore(ours, meta["state"])
        self.reports = [decode(EpochReport, report) for report in meta["reports"]]
        return EpochPart.stored(tensors, meta["part"]) if "part" in meta else BEGIN

    def keep(self, part: Callable[[], EpochPart] | None = None) -> bool:
        """Save if a checkpoint is due; return whether it was.

        Args:
            part: Returns the state of the epoch that follows the reports; None if that epoch has not begun.
        """
        due = self._checkpoint is not None and self._checkpoint.due()
        if due:
            self.save(part() if part is not None else None)
        return due

    def save(self, part: EpochPart | None = None) -> None:
        """Save, whether or not a checkpoint is due."""
        if self._checkpoint is None:
            return
        reports: list[Json] = [encode(report) for report in self.reports]
        tensors = self._state.tensors()
        meta: dict[str, Json] = {"state": self._state.meta(), "reports": reports}
        if part is not None:
            tensors, meta = {**tensors, **part.tensors()}, {**meta, "part": part.meta()}
        self._checkpoint.save(self._identity, tensors, meta)
