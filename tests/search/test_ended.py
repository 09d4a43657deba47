"""Is what is known of an ended trial by heart what the trial itself says?"""

import random

import pytest
from optuna.trial import TrialState

from pdsearch.search.ended import Ended
from tests.search.test_sampler_contract import grown


@pytest.mark.parametrize("directions", [["maximize"], ["minimize", "maximize"]])
def test_what_is_known_by_heart_is_what_the_trial_says(directions: list[str]) -> None:
    study = grown(random.Random(0), directions, trials=100, whole=0.5)
    for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)):
        known = Ended(trial)
        for name in ("number", "state", "values", "constraints", "intermediate_values", "distributions"):
            assert getattr(known, name) == getattr(trial, name)
        if len(directions) == 1:
            assert known.value == trial.value
        assert known.params == trial.params
        assert known.names == frozenset(trial.params)
        assert known.inner == {
            name: of.to_internal_repr(trial.params[name]) for name, of in trial.distributions.items()
        }
