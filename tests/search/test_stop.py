"""Which trials are stopped at a rung, and against whom do they compete?"""

import optuna
import pytest
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from pdsearch.search.stop import pruner, rungs
from pdsearch.space import Halving

HALVING = Halving("student.val_accuracy", min_epochs=2, factor=3)


@pytest.mark.parametrize(
    ("halving", "epochs", "expected"),
    [
        (HALVING, 27, (2, 6, 18)),
        (HALVING, 18, (2, 6)),
        (HALVING, 2, ()),
        (Halving("m", 1, 2), 4, (1, 2)),
        (None, 100, ()),
    ],
)
def test_rungs_are_a_factor_apart_and_before_the_last_epoch(
    halving: Halving | None, epochs: int, expected: tuple[int, ...]
) -> None:
    assert rungs(halving, epochs) == expected


def reach(study: optuna.Study, value: float, state: TrialState | None) -> optuna.Trial:
    trial = study.ask()
    trial.report(value, step=2)
    trial.should_prune()  # The rule notes who stands at the rung.
    if state is not None:
        study.tell(trial, value if state is TrialState.COMPLETE else None, state=state)
    return trial


@pytest.mark.parametrize(
    ("state", "stopped"),
    [
        (TrialState.COMPLETE, True),
        (TrialState.PRUNED, True),
        (None, True),
        (TrialState.FAIL, False),
    ],
)
def test_failed_and_interrupted_trials_do_not_compete(state: TrialState | None, stopped: bool) -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner(HALVING))
    for value in (0.7, 0.8, 0.9):
        reach(study, value, state)
    late = study.ask()
    late.report(0.5, step=2)
    assert late.should_prune() == stopped


def test_the_best_third_goes_on() -> None:
    study = optuna.create_study(direction="maximize", pruner=pruner(HALVING))
    for value in (0.5, 0.6, 0.7, 0.8, 0.9):
        reach(study, value, TrialState.COMPLETE)
    for value, stopped in ((0.95, False), (0.92, False), (0.55, True)):
        trial = study.ask()
        trial.report(value, step=2)
        assert trial.should_prune() == stopped


def test_without_a_rule_nothing_is_stopped() -> None:
    assert isinstance(pruner(None), NopPruner)
