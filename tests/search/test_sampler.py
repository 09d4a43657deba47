"""The sequence of sampled points is the same however often the driver is killed."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from pdsearch.errors import ConfigError
from pdsearch.search.optuna_backend.convert import suggest
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.optuna_backend.sampler import check_sampler, made
from pdsearch.specs import derive_seed
from tests.search.killing import Killed, kill_at
from tests.search.scripted_trials import ledger, run_one, searching, space

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


def test_ended_trials_alone_change_what_tpe_proposes(tmp_path: Path) -> None:
    """Optuna's own sampler, given the same seeds and the same number of good trials, proposes the same points."""
    kept = ledger(space(tmp_path, search=searching(sampler="tpe")))
    finish(kept)
    again = optuna.create_study(direction="maximize")
    for number, trial in enumerate(kept.study.get_trials()):
        with pytest.warns((ExperimentalWarning, FutureWarning)):
            again.sampler = TPESampler(
                seed=derive_seed(0, "sampler", "search", number) % 2**32,
                multivariate=True,
                group=True,
                constant_liar=True,
                gamma=lambda _: 1,
            )
        suggested = again.ask()
        assert suggest(suggested, kept.space.parameters) == trial.params
        again.tell(suggested, trial.value)


def test_a_tenth_of_the_trials_that_ran_to_their_end_are_good() -> None:
    study = optuna.create_study()
    for number in range(200):
        trial = study.ask()
        value = trial.suggest_float("x", 0, 1)
        trial.report(value, step=1)
        whole = number % 5 == 0
        state = TrialState.COMPLETE if whole else TrialState.PRUNED
        study.tell(trial, value if whole else None, state=state)
    found = made("tpe", study, seed=0)
    assert isinstance(found, TPESampler)
    assert found._gamma is not None
    good, _ = _split_trials(study, study.trials, found._gamma(200))
    assert len(good) == 4
    assert all(trial.state is TrialState.COMPLETE for trial in good)


OWN = """
import optuna

def good(study, seed):
    return optuna.samplers.QMCSampler(seed=seed, warn_independent_sampling=False)

def other(study, seed):
    return "tpe"

def raises(study, seed):
    raise RuntimeError("no room")

def short(study):
    return None
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of samplers where the test stands."""
    name = f"own_samplers_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_sampler_of_one_s_own_proposes_the_points(tmp_path: Path, own: str) -> None:
    searched = space(tmp_path, search=searching(sampler=f"{own}:good"))
    check_sampler(searched)
    kept = ledger(searched)
    finish(kept)
    assert isinstance(kept.study.sampler, optuna.samplers.QMCSampler)


@pytest.mark.parametrize(
    ("name", "said"),
    [("other", "returned str, not an Optuna sampler"), ("raises", "RuntimeError: no room")],
)
def test_one_that_cannot_sample_is_refused_before_anything_runs(
    tmp_path: Path, own: str, name: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_sampler(space(tmp_path, search=searching(sampler=f"{own}:{name}")))


def test_one_that_is_called_otherwise_is_refused_where_it_is_named(tmp_path: Path, own: str) -> None:
    with pytest.raises(ConfigError, match=r"search\.sampler: .*is no sampler"):
        space(tmp_path, search=searching(sampler=f"{own}:short"))
