"""Does the index answer as Optuna's own storage does, whatever was done in whatever order?"""

import random
from itertools import combinations
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from pdsearch.search.indexed import IndexedStorage
from pdsearch.search.journal import Journal, open_journal


def play(study: optuna.Study, drawn: random.Random) -> None:
    """One step of a study: ask, sample, report, end one way or another, or enqueue."""
    running = [*study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]
    number = drawn.choice(running).number if running else study.ask().number
    trial = optuna.Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)
    match drawn.randrange(6):
        case 0:
            study.ask()
        case 1:
            study.enqueue_trial({"x": drawn.random()})
        case 2:
            trial.suggest_float("x", 0, 1)
            trial.report(drawn.random(), step=drawn.randrange(9))
        case 3:
            study.tell(number, state=TrialState.FAIL)
        case _:
            study.tell(number, drawn.random())


def test_every_answer_is_that_of_the_plain_storage(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    drawn, storage = random.Random(0), open_journal(tmp_path / "journal.log")
    studies = [optuna.create_study(study_name=name, storage=storage) for name in "ab"]
    asked = [None, *(some for size in (1, 2) for some in combinations(TrialState, size))]
    for step in range(60):
        play(studies[step % 2], drawn)
        plain = JournalStorage(Journal(tmp_path / "journal.log"))
        for study in studies:
            for states in asked:
                ours = storage.get_all_trials(study._study_id, states=states)
                assert ours == plain.get_all_trials(study._study_id, states=states)


def test_what_is_returned_is_the_caller_s(tmp_path: Path) -> None:
    storage = open_journal(tmp_path / "journal.log")
    study = optuna.create_study(storage=storage)
    study.tell(study.ask(), 1.0)
    storage.get_all_trials(study._study_id, deepcopy=False).clear()
    storage.get_all_trials(study._study_id)[0].user_attrs["mine"] = 1
    (trial,) = storage.get_all_trials(study._study_id, deepcopy=False)
    assert trial.user_attrs == {}


def test_an_unknown_study_has_no_trials(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        IndexedStorage(Journal(tmp_path / "journal.log")).get_all_trials(7)
