"""What does a sampler read of an ended trial? All of it as plain attributes, and its point as numbers, known once.

An ended trial never changes, but Optuna's trials work out at every reading what they are asked for.
"""

from typing import Any

from optuna.trial import FrozenTrial

__all__ = ["Ended"]


class Ended:
    """An ended trial, to be read only; what is no attribute here is read from the trial itself.

    Attributes:
        value: Of the first objective.
        names: Of its parameters.
        inner: Its parameters as Optuna computes with them, by name. Optuna refuses other choices, or another kind of
            range, for a parameter that a study has, so that these are the same whichever trial's ranges are searched.
    """

    __slots__ = (
        "constraints",
        "distributions",
        "inner",
        "intermediate_values",
        "names",
        "number",
        "state",
        "trial",
        "value",
        "values",
    )

    def __init__(self, trial: FrozenTrial) -> None:
        self.trial = trial
        self.number, self.state = trial.number, trial.state
        self.values = trial.values
        self.value = trial.values[0] if trial.values else None
        self.constraints, self.intermediate_values = trial.constraints, trial.intermediate_values
        self.distributions = trial.distributions
        self.names = frozenset(trial.distributions)
        self.inner = {
            name: of.to_internal_repr(trial.params[name]) for name, of in trial.distributions.items()
        }

    def __getattr__(self, name: str) -> Any:
        """Return what only the trial has."""
        return getattr(self.trial, name)
