"""Where does one training run stand, so that it can go on after anything was killed?"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor

from pdsearch.durable import storage_errors
from pdsearch.specs import Json, canonical_json
from pdsearch.storage import Place, Remote, place, read, remove_tree, replace

__all__ = ["Checkpoint"]

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
