"""Is the sequence of points the one there would have been, however often the driver was killed?"""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import RandomSampler, TPESampler
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from pdsearch.search.history import History
from pdsearch.search.ledger import Ledger
from pdsearch.search.sampler import WindowedTPE, sampler, silence
from pdsearch.specs import derive_seed
from tests.search.killing import Killed, kill_at
from tests.search.played import ledger, run_one, searching, space

TRIALS = 5


def finish(kept: Ledger) -> None:
    while kept.finished < TRIALS:
        run_one(kept)


def sequence(kept: Ledger) -> list[dict[str, Any]]:
    found = sorted(kept.records.finished.values(), key=lambda record: record.number or 0)
    return [dict(record.params) for record in found]


def killed(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, write: int, *, after: bool) -> int:
    """Run the trials, killed once at a write; return how many writes there were before."""
    searched = space(folder, search=searching(sampler=name))
    with monkeypatch.context() as patch:
        kept = ledger(searched)
        count = kill_at(patch, write, after=after)
        with suppress(Killed):
            finish(kept)
        return count[0]


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_the_sequence_is_the_same_wherever_the_driver_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    searched = {"search": searching(sampler=name)}
    writes = killed(tmp_path / "whole", name, monkeypatch, 0, after=False)
    expected = sequence(ledger(space(tmp_path / "whole", **searched)))
    assert len(expected) == TRIALS
    for number in range(20):
        folder, write = tmp_path / str(number), 1 + number * writes // 20
        killed(folder, name, monkeypatch, write, after=number % 2 == 0)
        again = ledger(space(folder, **searched))
        finish(again)
        assert sequence(again) == expected, f"killed at write {write} of {writes}"


def test_every_ask_has_a_seed_of_its_own(tmp_path: Path) -> None:
    for name in ("random", "tpe"):
        kept = ledger(space(tmp_path / name, search=searching(sampler=name)))
        finish(kept)
        points = [params["distill.temperature"] for params in sequence(kept)]
        assert len(set(points)) == TRIALS


def test_a_name_is_a_kind() -> None:
    nothing = History(optuna.create_study())
    assert isinstance(sampler("random", seed=0, kind="search", history=nothing), RandomSampler)
    assert isinstance(sampler("tpe", seed=0, kind="search", history=nothing), TPESampler)


def test_in_a_short_study_the_window_hides_nothing() -> None:
    silence()
    studies = [optuna.create_study(), optuna.create_study()]
    for number in range(40):
        shown = sampler("tpe", seed=0, kind="search", history=History(studies[0]).look())
        drawn = derive_seed(0, "sampler", "search", number) % 2**32
        with pytest.warns(ExperimentalWarning):
            plain = TPESampler(seed=drawn, multivariate=True, group=True, constant_liar=True)
        for study, chosen in zip(studies, (shown, plain), strict=True):
            study.sampler = chosen
            trial = study.ask()
            study.tell(trial, trial.suggest_float("x", 0, 1) + trial.suggest_int("n", 1, 9))
    assert studies[0].best_params == studies[1].best_params
    assert [t.params for t in studies[0].trials] == [t.params for t in studies[1].trials]


def test_a_tenth_of_the_trials_that_ran_to_their_end_are_good() -> None:
    study = optuna.create_study()
    for number in range(200):
        trial = study.ask()
        value = trial.suggest_float("x", 0, 1)
        trial.report(value, step=1)
        study.tell(trial, value if number % 5 == 0 else None, state=_state(number))
    shown = sampler("tpe", seed=0, kind="search", history=History(study).look())
    assert isinstance(shown, WindowedTPE)
    good, _ = _split_trials(study, study.trials, shown._good(200))
    assert len(good) == 4
    assert all(trial.state is TrialState.COMPLETE for trial in good)


def _state(number: int) -> TrialState:
    return TrialState.COMPLETE if number % 5 == 0 else TrialState.PRUNED


KINDS = (("a", "b"), ("a",), ("a", "c", "d"), ("d",), (), ("b", "e"))


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), max_size=12))
@settings(max_examples=60, deadline=None)
def test_the_first_of_each_kind_of_trial_tells_all_there_is_of_the_parameters(
    asked: list[tuple[tuple[str, ...], bool]],
) -> None:
    silence()
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    for names, ends in asked:
        trial = study.ask()
        value = sum(trial.suggest_float(name, 0, 1) for name in names)
        if ends:
            study.tell(trial, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        ours = WindowedTPE(History(study), seed=0)
        theirs = TPESampler(seed=0, multivariate=True, group=True, constant_liar=True)
    frozen = study.ask()._get_latest_trial()
    found = ours.infer_relative_search_space(study, frozen)
    assert [*found.items()] == [*theirs.infer_relative_search_space(study, frozen).items()]
