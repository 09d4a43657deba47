"""What does a record say in the words of an Optuna study? From a record to a trial, and whether the two agree."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from pdsearch.search.suggest import distribution
from pdsearch.space import Space

__all__ = ["INTERRUPTED", "agrees", "as_interrupted", "as_trial"]

INTERRUPTED = "interrupted"
"""Reason of a trial that was cut off and is asked again; it is no failure."""

_STATES = {"complete": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "infeasible": TrialState.PRUNED}
_NAMES = {"<=": 1.0, ">=": -1.0}

Record = Mapping[str, Any]


def as_trial(record: Record, space: Space) -> FrozenTrial:
    """Return the study's trial of a finished record."""
    state, reports = _STATES.get(record["state"], TrialState.FAIL), _reports(record, space)
    values = None
    if state is TrialState.COMPLETE:
        values = [record["values"][objective.metric] for objective in space.objectives]
    elif state is TrialState.PRUNED and reports:
        values = [reports[max(reports)]]
    attributes = {"key": record["key"]}
    if state is TrialState.FAIL:
        attributes["reason"] = record["reason"] or "unknown"
    return create_trial(
        state=state,
        values=values,
        params=dict(record["params"]),
        distributions=_distributions(record, space),
        user_attrs=attributes,
        intermediate_values=reports,
        constraints=_constraints(record, space),
    )


def as_interrupted(record: Record, space: Space) -> FrozenTrial:
    """Return the study's trial of an asked record without a finished one: it will be asked again."""
    return create_trial(
        state=TrialState.FAIL,
        params=dict(record["params"]),
        distributions=_distributions(record, space),
        user_attrs={"key": record["key"], "reason": INTERRUPTED},
    )


def agrees(trial: FrozenTrial, record: Record, space: Space) -> bool:
    """Say whether a study's trial is what its finished record says; one that runs must be on its way there."""
    expected = as_trial(record, space)
    if trial.params != expected.params:
        return False
    reported = expected.intermediate_values
    if trial.state is TrialState.RUNNING:
        return trial.intermediate_values.items() <= reported.items()
    return (trial.state, trial.values, trial.intermediate_values, trial.constraints) == (
        expected.state,
        expected.values,
        reported,
        expected.constraints,
    )


def _distributions(record: Record, space: Space) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in space.parameters}
    return {name: distribution(known[name]) for name in record["params"]}


def _reports(record: Record, space: Space) -> dict[int, float]:
    """Return the value reported at each epoch; with several objectives a study takes none."""
    if len(space.objectives) > 1:
        return {}
    return {int(report["epoch"]): float(report["val_accuracy"]) for report in record["reports"]}


def _constraints(record: Record, space: Space) -> dict[str, float]:
    """Return by how much each constraint is broken; at most 0 where it holds."""
    found = {}
    for limit in space.constraints:
        if limit.metric in record["values"]:
            found[str(limit)] = _NAMES[limit.op] * (record["values"][limit.metric] - limit.bound)
    return found
