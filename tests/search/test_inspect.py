from pathlib import Path

import pytest

from pdsearch.errors import StorageError
from pdsearch.observer import Observer
from pdsearch.search.optuna_backend.inspect import look
from pdsearch.search.optuna_backend.storage import JournalStudyStorage
from pdsearch.search.study import open_study
from tests.faults import scripted_study


def test_a_journal_is_read_while_its_driver_writes_and_stays_as_it_is(root: Path) -> None:
    journal = root / "study" / "journal.log"
    with open_study(scripted_study.space(root), Observer()) as study:
        worker = scripted_study.Worker(study)
        while (job := study.agenda.next()) is not None and job.kind != "search":
            study.agenda.finish(job, scripted_study.outcome(study, job, worker))
        with journal.open("ab") as file:
            file.write(b'{"op_code":')
        before = journal.read_bytes()
        (trial,) = look(JournalStudyStorage(journal))["search"]
        assert (trial.id, trial.state, trial.values) == ("search-00000", "running", None)
        assert trial.params
        assert journal.read_bytes() == before
        assert not journal.with_name("journal.log.lock").exists()


def test_lines_without_sense_are_a_value_error(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    journal.write_text('{"op_code": 4}\n')
    with pytest.raises(ValueError, match="KeyError"):
        look(JournalStudyStorage(journal))


def test_a_journal_that_cannot_be_read_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        look(JournalStudyStorage(tmp_path))
