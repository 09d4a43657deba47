"""Which trials are stopped early? Successive halving over the study, blind to trials that failed or were interrupted.

Optuna's own rule counts every trial that ever reached a rung. An interrupted trial is asked again and replays its
reports, so it would compete with itself, and a trial that broke would hold a place for good.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import FrozenTrial, TrialState

from pdsearch.space import Halving

__all__ = ["pruner", "rung_values", "rungs"]

_COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)


class _Counted:
    """A study that shows only trials that count."""

    def __init__(self, study: optuna.Study) -> None:
        self._study = study

    def get_trials(
        self, *, deepcopy: bool = True, states: Sequence[TrialState] | None = None
    ) -> list[FrozenTrial]:
        wanted = _COUNTED if states is None else tuple(s for s in states if s in _COUNTED)
        return self._study.get_trials(deepcopy=deepcopy, states=wanted)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)


class CountedHalving(SuccessiveHalvingPruner):
    """Asynchronous successive halving (arXiv 1810.05934) among the trials that count."""

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Say whether the trial is to be stopped at its newest report."""
        return super().prune(cast("optuna.Study", _Counted(study)), trial)


def pruner(halving: Halving | None) -> BasePruner:
    """Return the rule that a space asks for."""
    if halving is None:
        return NopPruner()
    return CountedHalving(min_resource=halving.min_epochs, reduction_factor=halving.factor)


def rungs(halving: Halving | None, epochs: int) -> tuple[int, ...]:
    """Return the epochs at which the rule decides, before the last one."""
    steps = []
    step = halving.min_epochs if halving else epochs
    while halving and step < epochs:
        steps.append(step)
        step *= halving.factor
    return tuple(steps)


def rung_values(halving: Halving | None, epochs: int, reports: Mapping[int, float]) -> dict[str, float]:
    """Return what the rule noted of a trial at each rung it reached, under the names that Optuna's rule gives them.

    Args:
        halving: The rule.
        epochs: Of the whole trial.
        reports: The value at each epoch.
    """
    reached = (epoch for epoch in rungs(halving, epochs) if epoch in reports)
    return {f"completed_rung_{number}": reports[epoch] for number, epoch in enumerate(reached)}
