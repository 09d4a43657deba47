import json
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError, StudyHeldError
from pdsearch.observer import Observer
from pdsearch.search.maintenance import retry_failed
from pdsearch.search.optuna_backend.inspect import look
from pdsearch.search.optuna_backend.journal import DamagedError
from pdsearch.search.optuna_backend.storage import JournalStudyStorage, last_home
from pdsearch.search.study import open_study
from pdsearch.verify import check_invariants
from tests.faults import scripted_study
from tests.search.test_retry import run_failing


def test_a_study_moves_from_home_to_home_and_back(root: Path) -> None:
    homes = ["journal", f"sqlite:///{root}/a.db", f"journal:///{root}/far/x.log", "journal"]
    for trials, url in enumerate(homes, 1):
        scripted_study.run(scripted_study.space(root, trials=trials, ledger=url))
        assert check_invariants(root / "study") == []
        assert len([t for t in look(last_home(root / "study"))["search"] if t.state != "fail"]) == trials
    assert last_home(root / "study").__str__() == str(root / "study" / "journal.log")


def test_the_home_is_noted_only_where_it_is_elsewhere(root: Path) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    note = root / "study" / "ledger.json"
    assert not note.exists()
    scripted_study.run(scripted_study.space(root, trials=1, ledger=f"sqlite:///{root}/a.db"))
    assert json.loads(note.read_text()) == {"url": f"sqlite:///{root}/a.db"}


@pytest.mark.parametrize("url", ["sqlite:///{}/a.db", "journal:///{}/x.log"])
def test_failed_trials_are_tried_again_wherever_they_live(root: Path, url: str) -> None:
    where = scripted_study.space(root, ledger=url.format(root))
    failed = run_failing(where, "search", 2)
    assert retry_failed(root / "study") == failed
    scripted_study.run(where)
    with open_study(where, Observer()) as study:
        assert study.agenda.search.failed == 0
    assert check_invariants(root / "study") == []


def test_a_journal_elsewhere_has_one_study_and_one_driver(root: Path) -> None:
    url = f"journal:///{root}/x.log"
    scripted_study.run(scripted_study.space(root / "one", trials=1, ledger=url))
    with pytest.raises(ConfigError, match="another study lives there"):
        scripted_study.run(scripted_study.space(root / "two", trials=2, ledger=url))
    home = last_home(root / "one" / "study")
    with home.kept(), pytest.raises(StudyHeldError), home.kept():
        pass


def test_a_note_that_cannot_be_read_is_a_storage_error(root: Path) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    (root / "study" / "ledger.json").write_text('{"ur')
    with pytest.raises(DamagedError):
        last_home(root / "study")


def test_nothing_lives_where_there_is_no_file(tmp_path: Path) -> None:
    assert look(JournalStudyStorage(tmp_path / "journal.log")) == {}
