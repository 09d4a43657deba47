"""State that a worker keeps between trials: store, device, accounts, and a bounded cache of data and networks."""

import dataclasses
import json
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch

from pdsearch.artifacts import ArtifactStore
from pdsearch.io import Place, read, replace
from pdsearch.protocol import Use
from pdsearch.training.device import Engine

FILE = "account.json"

RECOUNT_S = 60.0
"""Between two counts a worker sees only its own additions, so that the limit may be exceeded by a minute's work."""


class Account:
    """The artifacts used and epochs trained by one job, over any number of attempts.

    Each artifact is recorded as at its first use: what one attempt built is no cache hit for the next one. Epochs count
    once: those of an unfinished artifact are trained, or reported from its checkpoint, by the next attempt. The account
    is stored beside the checkpoint of the job's own artifact, where any worker finds it; the driver removes it.
    """

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.epochs: dict[str, int] = {}
        self._settled: Counter[str] = Counter()
        self._spent: dict[tuple[str, str], Counter[str]] = {}
        self._noted: Counter[tuple[str, str]] = Counter()
        self._job: str | None = None
        self._folder: Place | None = None

    def begin(self, job: str | None = None, folder: Place | None = None) -> None:
        """Start a job's account, or continue that of an interrupted attempt.

        Args:
            job: Key of the artifact that the job builds; None starts from zero every time.
            folder: Folder of its progress; None stores nothing.

        Raises:
            StorageError: It cannot be read.
        """
        if job is None or job != self._job:
            stored = None if folder is None else read(folder / FILE)
            self.uses, self._settled = _parsed(stored)
        self._job, self._folder = job, folder
        self.again()

    def again(self) -> None:
        """Start the next attempt."""
        self.uses, self.epochs, self._spent = list(self.uses), dict(self._settled), {}
        self._noted = Counter((use.stage, use.key) for use in self.uses)

    def end(self) -> None:
        """End the job: the next one to begin is a new job, even under the same key."""
        self._job = None

    def trained(self, stage: str) -> None:
        """Count one epoch trained."""
        self.epochs[stage] = self.epochs.get(stage, 0) + 1

    @contextmanager
    def making(self, stage: str, key: str) -> Iterator[None]:
        """Run a block that builds an artifact; its epochs are final once `used` is called for it."""
        before, settled = Counter(self.epochs), self._settled.copy()
        yield
        self._spent[stage, key] = (Counter(self.epochs) - before) - (self._settled - settled)

    def used(self, use: Use) -> None:
        """Record the use of an artifact that exists now.

        Raises:
            StorageError: The account cannot be written.
        """
        name = use.stage, use.key
        if self._noted[name]:
            self._noted[name] -= 1
            return
        self.uses.append(use)
        self._settled += self._spent.pop(name, Counter())
        # Not for the job's own artifact, with which the job ends.
        if not use.hit and self._folder is not None and use.key != self._job:
            content = {"uses": [dataclasses.astuple(found) for found in self.uses], "epochs": self._settled}
            replace(self._folder / FILE, json.dumps(content).encode())


def _parsed(content: bytes | None) -> tuple[list[Use], Counter[str]]:
    """Parse an account file; an invalid one counts as empty, because only counts depend on it."""
    try:
        found: Any = json.loads(content or b"{}")
        epochs = Counter({str(stage): int(count) for stage, count in found.get("epochs", {}).items()})
        return [Use(*use) for use in found.get("uses", [])], epochs
    except (ValueError, AttributeError, TypeError):
        return [], Counter()


class LogitsLimit:
    """The total size of the teachers' logits in a store, as one worker knows it, and its limit.

    Args:
        store: The store, shared with other workers.
        limit_bytes: Limit for all outputs together.
    """

    def __init__(self, store: ArtifactStore, limit_bytes: int) -> None:
        self._store, self._limit = store, limit_bytes
        self._used, self._counted = 0, -RECOUNT_S

    def take(self, size: int) -> bool:
        """Reserve bytes for one more entry; False if the limit would be exceeded."""
        moment = time.monotonic()
        if moment - self._counted >= RECOUNT_S:
            self._used, self._counted = self._store.used("outputs"), moment
        fits = self._used + size <= self._limit
        self._used += size if fits else 0
        return fits


T = TypeVar("T")


class MemoryCache:
    """LRU cache by name, bounded by total size.

    Args:
        limit_bytes: Total size; a single larger item is still kept until the next one is added.
    """

    def __init__(self, limit_bytes: int = 2 * 2**30) -> None:
        self._limit, self._total = limit_bytes, 0
        self._items: OrderedDict[tuple[str, ...], tuple[object, int]] = OrderedDict()

    def get(self, name: tuple[str, ...], make: Callable[[], tuple[T, int]]) -> T:
        """Return the item of a name; if it is not cached, `make` returns it with its size in bytes."""
        if name not in self._items:
            self._items[name] = made = make()
            self._total += made[1]
            while self._total > self._limit and len(self._items) > 1:
                _, (_, size) = self._items.popitem(last=False)
                self._total -= size
        self._items.move_to_end(name)
        return cast("T", self._items[name][0])


@dataclass
class WorkerContext:
    """A worker's environment. Nothing in it affects a result; all that does is in the specs.

    Args:
        store: Store of artifacts, shared by all workers.
        progress: Folder of checkpoints of running trainings, by key; visible to every node.
        device: "cpu", "cuda", "cuda:1", ...
        outputs_limit_bytes: Limit of stored teacher outputs, over all studies in the store; beyond it the teacher runs
            live.
        checkpoint_s: Minimal seconds between two checkpoints.
        logs: Folder of the logs of failed trials; None keeps none.
        patience_s: Seconds without an event after which a trial counts as hung; None means no limit.
        graphs: Whether training steps on a GPU may be captured as CUDA graphs, which takes memory.
        parts: Number of parts a batch is split into, where the GPU's memory is too small for a whole one.
        account: What the current trial used and trained.
    """

    store: ArtifactStore
    progress: Place
    device: str = "cpu"
    outputs_limit_bytes: int = 20 * 2**30
    checkpoint_s: float = 10.0
    logs: Place | None = None
    patience_s: float | None = None
    graphs: bool = True
    parts: int = 1
    kept: MemoryCache = field(default_factory=MemoryCache)
    account: Account = field(default_factory=Account)
    _logits_limit: LogitsLimit | None = None

    @property
    def logits_limit(self) -> LogitsLimit:
        """The limit on stored teacher outputs."""
        if self._logits_limit is None:
            self._logits_limit = LogitsLimit(self.store, self.outputs_limit_bytes)
        return self._logits_limit

    def begin(self, job: str | None = None) -> None:
        """Start a trial: reset the account of the last one, keep what it loaded.

        Args:
            job: Its key, by which an interrupted attempt is continued.
        """
        self.account.begin(job, self.progress / job if job else None)

    def engine(self, precision: str) -> Engine:
        """Return the engine for a precision on this device."""
        return Engine(device=self.device, precision=precision, parts=self.parts, graphs=self.graphs)

    def log(self, name: str) -> Place | None:
        """Return the log file of a trial, if logs are kept."""
        return self.logs / f"{name}.log" if self.logs else None

    def release(self) -> None:
        """Free the memory of all cached items."""
        self.kept = MemoryCache()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
