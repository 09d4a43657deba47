"""How many trials fit on the nodes there are now, and how many may be waited for?"""

import time
from typing import Any, Protocol

__all__ = ["FixedSlots", "GrowingSlots", "Slots"]

_LOOK_EVERY_S = 1.0
_AT_LEAST = 4
"""Trials that may wait for nodes to come; as many as fit already, where that is more. So a cluster can double."""


class Slots(Protocol):
    """Room for trials. It changes while nodes come and go."""

    @property
    def fit(self) -> int:
        """Trials that fit on the nodes that are up."""

    @property
    def wanted(self) -> int:
        """Trials to run at once if the nodes for it come up; never less than `fit`."""

    def news(self) -> str | None:
        """Return what a person should know of the room, once after it has changed."""


class FixedSlots:
    """Room on one machine, which stays what it is.

    Args:
        fit: Trials at once.
    """

    def __init__(self, fit: int) -> None:
        self.fit = self.wanted = fit

    def news(self) -> str | None:
        """Return None: it stays what it is."""
        return None


class GrowingSlots:
    """Room on a cluster, counted node by node: a trial does not spread over two.

    Args:
        cpu: CPUs of a trial.
        gpu: GPUs of a trial.
        limit: Trials at once at most; None is as many as fit.
    """

    def __init__(self, cpu: int, gpu: float, limit: int | None = None) -> None:
        self._cpu, self._gpu, self._limit = cpu, gpu, limit
        self._nodes: list[dict[str, Any]] = []
        self._looked: float | None = None
        self._told: int | None = None

    @property
    def fit(self) -> int:
        """Trials that fit on the nodes that are up."""
        return self._capped(sum(self.of(node) for node in self.nodes()))

    @property
    def wanted(self) -> int:
        """All that may run at once, or a step beyond what fits: an autoscaler starts nodes for what waits."""
        fit = self.fit
        return self._limit or fit + max(_AT_LEAST, fit)

    def news(self) -> str | None:
        """Return how many trials fit, on how many nodes, where that has changed since the last time."""
        fit, nodes = self.fit, len(self.nodes())
        if fit == self._told:
            return None
        self._told = fit
        if fit == 0:
            gpus = f" and {self._gpu:g} GPU" if self._gpu else ""
            return (
                f"no node of the cluster has room for a trial ({self._cpu} CPU{gpus});"
                " waiting for one to join, or to be started by an autoscaler"
            )
        return f"the cluster has room for {fit} trial(s) at once, on {nodes} node(s)"

    def nodes(self) -> list[dict[str, Any]]:
        """Return the nodes that are up and have room for a trial, as Ray describes them."""
        now = time.monotonic()
        if self._looked is None or now - self._looked >= _LOOK_EVERY_S:
            import ray  # After the session has set Ray's environment.

            self._nodes = [node for node in ray.nodes() if node["Alive"] and self.of(node)]
            self._looked = now
        return self._nodes

    def of(self, node: dict[str, Any]) -> int:
        """Return the trials that fit on a node."""
        have = node["Resources"]
        by_cpu = int(have.get("CPU", 0) // self._cpu)
        if self._gpu == 0:
            return by_cpu
        # A fraction is one of a single card: two cards hold four trials of 0.4, not five.
        cards = have.get("GPU", 0)
        by_gpu = int(cards) * int(1 / self._gpu + 1e-9) if self._gpu < 1 else int(cards / self._gpu)
        return min(by_cpu, by_gpu)

    def _capped(self, count: int) -> int:
        return count if self._limit is None else min(count, self._limit)
