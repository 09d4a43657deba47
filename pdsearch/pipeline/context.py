"""State that a worker keeps between trials: store, device, and a bounded cache of data and networks."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import torch

from pdsearch.artifacts import ArtifactStore
from pdsearch.io import Place
from pdsearch.pipeline.account import Account, LogitsLimit
from pdsearch.protocol import Use
from pdsearch.training import Engine

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
    _shelf: LogitsLimit | None = None

    @property
    def shelf(self) -> LogitsLimit:
        """The limit on stored teacher outputs."""
        if self._shelf is None:
            self._shelf = LogitsLimit(self.store, self.outputs_limit_bytes)
        return self._shelf

    @property
    def uses(self) -> list[Use]:
        """Artifacts the current trial used, in order."""
        return self.account.uses

    @property
    def epochs(self) -> dict[str, int]:
        """Epochs the current trial trained, by stage."""
        return self.account.epochs

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

    def trained(self, stage: str) -> None:
        """Count one epoch trained for the current trial."""
        self.account.trained(stage)
