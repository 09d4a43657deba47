"""Build an Optuna trial from a record; compare the two."""

from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from pdsearch.config import Space
from pdsearch.search.optuna_backend.distributions import distribution
from pdsearch.search.optuna_backend.outcome import INTERRUPTED, told
from pdsearch.trial_record import AskedRecord, TrialRecord


def as_trial(record: TrialRecord, space: Space) -> FrozenTrial:
    """Return the Optuna trial of a finished record."""
    said = told(record, [objective.metric for objective in space.objectives])
    attributes = {"key": record.key}
    if said.state is TrialState.FAIL:
        attributes["reason"] = record.reason or "unknown"
    return create_trial(
        state=said.state,
        values=said.values,
        params=dict(record.params),
        distributions=_distributions(record, space),
        user_attrs=attributes,
        intermediate_values=said.reports,
        constraints=_constraints(record, space),
    )


def as_interrupted(record: AskedRecord, space: Space) -> FrozenTrial:
    """Return the Optuna trial of an asked record without a finished one: it will be asked again."""
    return create_trial(
        state=TrialState.FAIL,
        params=dict(record.params),
        distributions=_distributions(record, space),
        user_attrs={"key": record.key, "reason": INTERRUPTED},
    )


def agrees(trial: FrozenTrial, record: TrialRecord, space: Space) -> bool:
    """Return whether an Optuna trial agrees with its finished record; a running one may lack some reports."""
    expected = as_trial(record, space)
    if trial.params != expected.params:
        return False
    reported = expected.intermediate_values
    if (
        not expected.system_attrs.items() <= trial.system_attrs.items()
        and trial.state is not TrialState.RUNNING
    ):
        return False
    if trial.state is TrialState.RUNNING:
        return trial.intermediate_values.items() <= reported.items()
    return (trial.state, trial.values, trial.intermediate_values) == (
        expected.state,
        expected.values,
        reported,
    )


def _distributions(record: AskedRecord | TrialRecord, space: Space) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in space.parameters}
    return {name: distribution(known[name]) for name in record.params}


def _constraints(record: TrialRecord, space: Space) -> dict[str, float]:
    """Return by how much each constraint is broken; at most 0 where it holds."""
    found = {}
    for limit in space.constraints:
        if limit.metric in record.values:
            found[str(limit)] = limit.excess(record.values[limit.metric])
    return found
