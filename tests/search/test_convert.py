"""Records, parameters and early stopping in terms of Optuna."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from pdsearch.config import Halving, Parameter
from pdsearch.errors import StorageError
from pdsearch.objectives import Objective
from pdsearch.observer import Observer
from pdsearch.records.trial_record import State, TrialRecord
from pdsearch.search.optuna_backend.convert import (
    INTERRUPTED,
    agrees,
    as_interrupted,
    as_trial,
    optuna_result,
    suggest,
)
from pdsearch.search.optuna_backend.pruners import Stopper, goes_on, rungs
from pdsearch.search.optuna_backend.storage import JournalStudyStorage, read_trials
from pdsearch.search.study import open_as_driver
from pdsearch.specs import DistillSpec, Recipe
from tests.faults import scripted_study
from tests.records.trial_records import SPEC, asked, finished, reports

SPACE = scripted_study.space(Path("/nowhere"))


PARAMS = {"prune.method": "none", "distill.alpha": 0.5}


def record(state: str = "complete", **changed: object) -> TrialRecord:
    values = {} if state == "failed" else {"student.val_accuracy": 0.5, "student.params": 1200.0}
    given: dict[str, Any] = {"params": PARAMS, "reports": reports(0.25, 0.5), "values": values, **changed}
    return finished(state=state, reason="it broke" if state == "failed" else None, **given)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("complete", TrialState.COMPLETE),
        ("stopped", TrialState.PRUNED),
        ("infeasible", TrialState.COMPLETE),
        ("failed", TrialState.FAIL),
    ],
)
def test_a_record_becomes_a_trial_that_agrees_with_it(state: str, expected: TrialState) -> None:
    trial = as_trial(record(state), SPACE)
    assert trial.state is expected
    assert trial.values == (None if state == "failed" else [0.5])
    assert trial.intermediate_values == {1: 0.25, 2: 0.5}
    assert trial.params == {"prune.method": "none", "distill.alpha": 0.5}
    assert trial.user_attrs.get("reason") == ("it broke" if state == "failed" else None)
    assert trial.constraints == ({} if state == "failed" else {"student.params <= 1000.0": 200.0})
    assert agrees(trial, record(state), SPACE)


def test_a_trial_that_broke_a_constraint_before_its_first_epoch_has_no_value() -> None:
    trial = as_trial(record("infeasible", reports=()), SPACE)
    assert (trial.state, trial.values) == (TrialState.PRUNED, None)


@pytest.mark.parametrize(
    "changed",
    [
        record("stopped"),
        record(params={"prune.method": "none", "distill.alpha": 0.75}),
        record(values={"student.val_accuracy": 0.75, "student.params": 1200.0}),
        record(values={"student.val_accuracy": 0.5, "student.params": 900.0}),
        record(reports=reports(0.25)),
    ],
    ids=["state", "params", "value", "constraint", "reports"],
)
def test_a_trial_that_says_otherwise_does_not_agree(changed: TrialRecord) -> None:
    assert not agrees(as_trial(changed, SPACE), record(), SPACE)


def test_an_interrupted_trial_is_no_failure_of_its_own_and_a_running_one_agrees_as_far_as_it_got() -> None:
    trial = as_interrupted(asked(params=PARAMS), SPACE)
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.FAIL, INTERRUPTED)
    trial.state = TrialState.RUNNING
    trial.intermediate_values = {1: 0.25}
    assert agrees(trial, record(), SPACE)
    trial.intermediate_values = {1: 0.75}
    assert not agrees(trial, record(), SPACE)


ACCURACY = "student.val_accuracy"


def record_of_told(state: str) -> TrialRecord:
    return finished(state=state, reports=reports(0.25, 0.5), values={ACCURACY: 0.5, "b": 7})


@pytest.mark.parametrize("metrics", [["b"], [ACCURACY, "b"]])
def test_a_study_is_told_accuracies_only_where_they_are_what_it_improves(metrics: list[str]) -> None:
    whole, stopped = (
        optuna_result(record_of_told("complete"), metrics),
        optuna_result(record_of_told("stopped"), metrics),
    )
    assert whole.values == [{ACCURACY: 0.5, "b": 7.0}[metric] for metric in metrics]
    assert whole.reports == stopped.reports == {}
    assert (stopped.state, stopped.values) == (TrialState.PRUNED, None)


PARAMETERS = (
    Parameter("prune.method", "categorical", choices=("none", "magnitude")),
    Parameter("prune.ratio", "categorical", choices=(0.2, 0.36), when={"prune.method": ("magnitude",)}),
    Parameter("distill.temperature", "float", low=1.0, high=20.0, log=True),
    Parameter("distill.alpha", "float", low=0.0, high=1.0, step=0.25),
    Parameter("train.distill.epochs", "int", low=2.0, high=8.0, step=2.0),
)


def points(count: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    return [suggest(study.ask(), PARAMETERS) for _ in range(count)]


def test_values_lie_in_their_ranges_on_their_steps() -> None:
    found = points(60)
    assert {point["prune.method"] for point in found} == {"none", "magnitude"}
    assert all(1 <= point["distill.temperature"] <= 20 for point in found)
    assert {point["distill.alpha"] for point in found} == {0, 0.25, 0.5, 0.75, 1}
    assert {point["train.distill.epochs"] for point in found} == {2, 4, 6, 8}
    assert all(type(point["train.distill.epochs"]) is int for point in found)


def test_a_parameter_whose_condition_does_not_hold_is_left_out() -> None:
    for point in points(30):
        assert ("prune.ratio" in point) == (point["prune.method"] == "magnitude")


def test_a_journal_is_read_while_its_driver_writes_and_stays_as_it_is(root: Path) -> None:
    journal = root / "study" / "journal.log"
    with open_as_driver(scripted_study.space(root), Observer()) as study:
        scripted_study.drive(study, scripted_study.Worker(study), until="search")
        with journal.open("ab") as file:
            file.write(b'{"op_code":')
        before = journal.read_bytes()
        (trial,) = read_trials(JournalStudyStorage(journal))["search"]
        assert (trial.id, trial.state, trial.values) == ("search-00000", "running", None)
        assert trial.params
        assert journal.read_bytes() == before
        assert not journal.with_name("journal.log.lock").exists()


def test_lines_without_sense_are_a_value_error(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    journal.write_text('{"op_code": 4}\n')
    with pytest.raises(ValueError, match="KeyError"):
        read_trials(JournalStudyStorage(journal))


def test_a_journal_that_cannot_be_read_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_trials(JournalStudyStorage(tmp_path))


HALVING = Halving("student.val_accuracy", min_epochs=2, factor=3)
MORE_ACCURACY, SIZE = Objective("student.val_accuracy", "maximize"), Objective("student.params", "minimize")


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


GOALS: tuple[Literal["maximize", "minimize"], ...] = ("maximize", "minimize")
values = st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=12)


@given(values=values, factor=st.integers(2, 5), goal=st.sampled_from(GOALS))
def test_one_rung_s_decisions_are_those_of_optuna_in_either_direction(
    values: list[float], factor: int, goal: Literal["maximize", "minimize"]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rule = SuccessiveHalvingPruner(min_resource=1, reduction_factor=factor)
    study = optuna.create_study(direction=goal, pruner=rule)
    for place, value in enumerate(values):
        trial = study.ask()
        trial.report(value, step=1)
        assert goes_on(value, values[:place], factor=factor, goal=goal) is not trial.should_prune()


def reached(number: int, value: float, state: State = "complete") -> TrialRecord:
    spec = replace(SPEC, distill=DistillSpec(Recipe(epochs=9, lr=0.1)))
    return finished(number, state=state, reports=reports(value, value), spec=spec)


@pytest.mark.parametrize(
    ("state", "stopped"), [("complete", True), ("stopped", True), ("infeasible", True), ("failed", False)]
)
def test_trials_that_failed_do_not_compete(state: State, stopped: bool) -> None:
    before = [reached(n, value, state) for n, value in enumerate((0.7, 0.8, 0.9))]
    assert Stopper(HALVING, [MORE_ACCURACY], before).stops("search-00003", 2, 0.5) is stopped


def test_a_running_trial_competes_until_it_fails() -> None:
    stopper = Stopper(HALVING, [MORE_ACCURACY], [])
    assert not stopper.stops("a", 2, 0.9)
    assert stopper.stops("b", 2, 0.8)
    stopper.leave("a")
    assert not stopper.stops("c", 2, 0.85)


def test_what_is_no_number_does_not_pass_and_beats_nobody() -> None:
    stopper = Stopper(HALVING, [MORE_ACCURACY], [])
    assert stopper.stops("a", 2, math.nan)
    assert not stopper.stops("b", 2, 0.1)


def test_without_a_rule_nothing_is_stopped() -> None:
    assert not Stopper(None, [MORE_ACCURACY], [reached(0, 0.9)]).stops("b", 2, 0.1)
