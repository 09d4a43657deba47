"""How many trials fit on the nodes there are now, and how many may be waited for?"""

import time
from typing import Any, Protocol

__all__ = ["ACCELERATOR_SHARE", "FixedSlots", "GrowingSlots", "Slots", "accelerator_resource"]

_LOOK_EVERY_S = 1.0
_AT_LEAST = 4
"""Trials that may wait for nodes to come; as many as fit already, where that is more. So a cluster can double."""

_KIND = "accelerator_type:"

ACCELERATOR_SHARE = 0.001
"""What a trial takes of that mark; Ray's own share, so that it never runs out."""


def accelerator_resource(accelerator: str) -> str:
    """Return the resource by which Ray marks the nodes that have a kind of GPU, one of it each."""
    return _KIND + accelerator


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
        gpu: Share of a GPU of a trial, at most 1.
        limit: Trials at once at most; None is as many as fit.
        accelerator: The kind of GPU, as Ray names it; None takes any.
    """

    def __init__(
        self, cpu: int, gpu: float, limit: int | None = None, accelerator: str | None = None
    ) -> None:
        self._cpu, self.gpu, self._limit, self._accelerator = cpu, gpu, limit, accelerator
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

    def of_a_task(self) -> dict[str, Any]:
        """Return what a trial uses, in the words of a Ray task."""
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
        if self.gpu == 0:
            return by_cpu
        if self._accelerator is not None and accelerator_resource(self._accelerator) not in have:
            return 0
        # A share is one of a single card: two cards hold four trials of 0.4, not five.
        return min(by_cpu, int(have.get("GPU", 0)) * int(1 / self.gpu + 1e-9))

    def _kinds(self) -> str:
        """Return which kind of GPU is asked for, and which there are."""
        if self._accelerator is None:
            return ""
        import ray  # As above.

        there = {name for node in ray.nodes() if node["Alive"] for name in node["Resources"]}
        kinds = sorted(name.removeprefix(_KIND) for name in there if name.startswith(_KIND))
        return f" of the kind {self._accelerator}; the nodes have {', '.join(kinds) or 'none that Ray names'}"

    def _capped(self, count: int) -> int:
        return count if self._limit is None else min(count, self._limit)
