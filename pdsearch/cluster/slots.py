"""Slots: how many trials fit on the nodes, which trials have a worker or wait for one, and which workers died."""

import time
from collections.abc import Iterable
from typing import Any, TypeAlias

from pdsearch.protocol import Event, Job, Progress, Report

_LOOK_EVERY_S = 1.0
_AT_LEAST = 4
"""Trials that may wait for new nodes; as many as fit already, where that is more, so that a cluster can double."""

_KIND = "accelerator_type:"

ACCELERATOR_SHARE = 0.001
"""What a trial uses of the resource that marks a kind of GPU; Ray's own share, so that it never runs out."""


def accelerator_resource(accelerator: str) -> str:
    """Return the resource by which Ray marks nodes with a kind of GPU; each has 1 of it."""
    return _KIND + accelerator


Node: TypeAlias = dict[str, Any]
"""A node as ray.nodes() describes it."""


class Slots:
    """How many trials fit: a constant number, on one machine."""

    def __init__(self, most: int) -> None:
        self._most = most

    @property
    def fit(self) -> int:
        """Trials that fit on the nodes that are up."""
        return self._most

    @property
    def wanted(self) -> int:
        """Trials to run at once if the nodes for it come up; never less than `fit`."""
        return self._most

    def news(self) -> str | None:
        """Return a message about the number of slots, once after it has changed; else None."""
        return None


class GrowingSlots(Slots):
    """Slots of a cluster, counted node by node: a trial runs on one node.

    Args:
        cpu: CPUs of a trial.
        gpu: Share of a GPU of a trial, at most 1.
        limit: Most concurrent trials; None for as many as fit.
        accelerator: The kind of GPU, as Ray names it; None takes any.
    """

    def __init__(
        self, cpu: int, gpu: float, limit: int | None = None, accelerator: str | None = None
    ) -> None:
        self._cpu, self.gpu, self._limit, self._accelerator = cpu, gpu, limit, accelerator
        self._nodes: list[Node] = []
        self._looked: float | None = None
        self._told: int | None = None

    @property
    def fit(self) -> int:
        """Trials that fit on the nodes that are up."""
        fit = sum(self.of(node) for node in self.nodes())
        return fit if self._limit is None else min(fit, self._limit)

    @property
    def wanted(self) -> int:
        """The limit, or some more than fit: an autoscaler starts nodes for trials that wait."""
        fit = self.fit
        return self._limit or fit + max(_AT_LEAST, fit)

    def of_a_task(self) -> dict[str, Any]:
        """Return a trial's resources, as options of a Ray task."""
        kind = {accelerator_resource(self._accelerator): ACCELERATOR_SHARE} if self._accelerator else {}
        return {"num_cpus": self._cpu, "num_gpus": self.gpu, "resources": kind}

    def news(self) -> str | None:
        """Return how many trials fit, on how many nodes, where that has changed since the last time."""
        fit, nodes = self.fit, len(self.nodes())
        if fit == self._told:
            return None
        self._told = fit
        if fit == 0:
            gpus = f" and {self.gpu:g} GPU" if self.gpu else ""
            return (
                f"no node of the cluster has room for a trial ({self._cpu} CPU{gpus}{self._kinds()});"
                " waiting for one to join, or to be started by an autoscaler"
            )
        trials, on = f"{fit} trial{'' if fit == 1 else 's'}", f"{nodes} node{'' if nodes == 1 else 's'}"
        return f"the cluster has room for {trials} at once, on {on}"

    def nodes(self) -> list[Node]:
        """Return the nodes that are up and have room for a trial, as Ray describes them."""
        now = time.monotonic()
        if self._looked is None or now - self._looked >= _LOOK_EVERY_S:
            import ray  # After the session has set Ray's environment.

            self._nodes = [node for node in ray.nodes() if node["Alive"] and self.of(node)]
            self._looked = now
        return self._nodes

    def of(self, node: Node) -> int:
        """Return the trials that fit on a node."""
        have = node["Resources"]
        by_cpu = int(have.get("CPU", 0) // self._cpu)
        if self.gpu == 0:
            return by_cpu
        if self._accelerator is not None and accelerator_resource(self._accelerator) not in have:
            return 0
        # A share is of a single GPU: two GPUs fit four trials of 0.4, not five.
        return min(by_cpu, int(have.get("GPU", 0)) * int(1 / self.gpu + 1e-9))

    def _kinds(self) -> str:
        """Return the part of a message that says which kind of GPU is asked for, and which there are."""
        if self._accelerator is None:
            return ""
        import ray  # As above.

        there = {name for node in ray.nodes() if node["Alive"] for name in node["Resources"]}
        kinds = sorted(name.removeprefix(_KIND) for name in there if name.startswith(_KIND))
        return f" of the kind {self._accelerator}; the nodes have {', '.join(kinds) or 'none that Ray names'}"


MOST_IN_A_ROW = 3
"""Workers in a row that a job may lose while they run it, without progress, before it counts as failed."""

_MOST_IN_VAIN, _IN_VAIN_S = 10, 60.0
"""So many workers in a row that died before they started anything, over at least so many seconds, end the run."""


class Deaths:
    """Consecutive worker deaths, by job while it ran, and of workers that never started one.

    A failure before a worker has started a job (its process, its node, its placement group, Ray) is not the job's
    fault. Invariant: `behind` holds the jobs without progress since a death.
    """

    def __init__(self) -> None:
        self._lost: dict[str, int] = {}
        self._steps: dict[str, set[tuple[str, int]]] = {}
        self._in_vain, self._in_vain_since = 0, 0.0

    @property
    def behind(self) -> set[str]:
        """The jobs that lost a worker, one that ran them or was to start them, and made no progress since."""
        return {*self._lost}

    def lose(self, job: str, *, started: bool) -> int:
        """Record that a job lost its worker; return how many it lost in a row that had started it."""
        self._lost[job] = self._lost.get(job, 0) + started
        return self._lost[job]

    def hear(self, job: str, events: Iterable[Event]) -> None:
        """Record a job's events; its count is reset at an epoch that it had never reached before."""
        known = self._steps.setdefault(job, set())
        steps = {_step(event) for event in events if isinstance(event, Report | Progress) and event.epoch}
        if steps - known:
            self._lost.pop(job, None)
        known |= steps

    def forget(self, job: str) -> None:
        """Drop the counts of a job that has ended."""
        self._lost.pop(job, None)
        self._steps.pop(job, None)

    def started(self) -> None:
        """Record that a worker has started: the count of those that could not is reset."""
        self._in_vain = 0

    def in_vain(self) -> int:
        """Record that a worker died before it started anything; return how many did in a row."""
        if not self._in_vain:
            self._in_vain_since = time.monotonic()
        self._in_vain += 1
        return self._in_vain

    @property
    def hopeless(self) -> bool:
        """Whether so many workers in a row, over so long a time, have failed to start that the run should end."""
        return self._in_vain >= _MOST_IN_VAIN and time.monotonic() - self._in_vain_since >= _IN_VAIN_S


def _step(event: Report | Progress) -> tuple[str, int]:
    return ("distill" if isinstance(event, Report) else f"{event.stage} {event.note}", event.epoch)


WARM_UP_S = 15.0
"""Seconds to wait for the other workers after the first is up; a cluster may still be growing."""


class Workers:
    """The state of every live Tune trial.

    Invariant: every live trial is in `_live`; those that hold a job are also keys of `jobs`, those whose worker has
    started them are also in `_started`, those whose worker has reported in `_up`, and those on an unfit node in
    `_parked`.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots, self.deaths = slots, Deaths()
        self.jobs: dict[str, Job] = {}
        self.where: dict[str, str] = {}
        self._live: set[str] = set()
        self._started: set[str] = set()
        self._up: set[str] = set()
        self._parked: set[str] = set()
        self._is_warm = False
        self._first_up: float | None = None

    def begin(self, trial_id: str, job: Job | None) -> None:
        """Record that a trial begins, with a job or resting."""
        self._live.add(trial_id)
        if job is not None:
            self.jobs[trial_id] = job

    def start(self, trial_id: str) -> None:
        """Record that a worker has been set up for a trial and starts it."""
        self._started.add(trial_id)
        self.deaths.started()

    def hear(self, trial_id: str) -> None:
        """Record that a trial's worker has reported."""
        self._up.add(trial_id)
        self._first_up = self._first_up or time.monotonic()

    def park(self, trial_id: str) -> bool:
        """Record that a trial's node is unfit; return False if that was known."""
        known = trial_id in self._parked
        self._parked.add(trial_id)
        return not known

    def end(self, trial_id: str) -> None:
        """Drop a trial that has ended."""
        for known in (self._live, self._started, self._up, self._parked):
            known.discard(trial_id)
        self.where.pop(trial_id, None)
        self.jobs.pop(trial_id, None)

    def started(self, trial_id: str) -> bool:
        """Return whether a trial's worker has started it."""
        return trial_id in self._started

    @property
    def any_up(self) -> bool:
        """Whether some live worker has reported; one on an unfit node counts too."""
        return bool(self._up or self._parked)

    @property
    def fit(self) -> int:
        """Trials that fit, without the slots held by workers on unfit nodes."""
        return self.slots.fit - len(self._parked)

    @property
    def free(self) -> int:
        """Slots left beside those of jobs and of resting workers that are up."""
        return self.fit - len(self.jobs) - len(self._resting & self._up)

    @property
    def coming(self) -> int:
        """Resting trials that wait for a worker."""
        return len(self._resting - self._up)

    @property
    def empty(self) -> bool:
        """Whether there is no live trial, except on unfit nodes."""
        return not self._live - self._parked

    def warmed_up(self) -> bool:
        """Return whether jobs are handed out: once all workers are up, or `WARM_UP_S` after the first."""
        late = self._first_up is not None and time.monotonic() - self._first_up >= WARM_UP_S
        self._is_warm = self._is_warm or late or 0 < self.fit <= len(self._up)
        return self._is_warm

    @property
    def homeless(self) -> bool:
        """Whether a job that lost its worker has no other yet. Ray notices a node's death later than its workers'."""
        behind = self.deaths.behind
        return any(self.jobs[name].id in behind for name in self.waiting)

    @property
    def waiting(self) -> list[str]:
        """Trials that have a job and no worker yet."""
        return [name for name in self.jobs if name not in self._up]

    @property
    def starved(self) -> bool:
        """Whether a job waits for a worker while workers hold all slots: a resting one holds its slot."""
        return len(self._up - self._parked) >= self.fit and bool(self.waiting)

    @property
    def _resting(self) -> set[str]:
        return self._live - self.jobs.keys() - self._parked
