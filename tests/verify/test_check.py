from pathlib import Path

import pytest

from pdsearch.artifacts import hold
from pdsearch.errors import ConfigError
from pdsearch.observer import Observer
from pdsearch.search.study import open_study
from pdsearch.verify import check_invariants
from tests.faults import scripted_study


def test_a_finished_study_is_as_it_must_be(study: Path) -> None:
    assert check_invariants(study, deep=True) == []


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no study here"):
        check_invariants(tmp_path)


def test_a_study_that_is_being_run_is_no_broken_one(root: Path) -> None:
    with open_study(scripted_study.space(root), Observer()) as study:
        worker = scripted_study.Worker(study)
        for _ in range(3):
            job = study.agenda.next()
            assert job is not None
            study.agenda.finish(job, scripted_study.outcome(study, job, worker))
        assert study.agenda.next() is not None
        assert check_invariants(study.folder) == []
    assert check_invariants(root / "study") == [], (
        "a trial that was cut off is no fault: the next run goes on"
    )


def test_a_copy_without_artifacts_can_be_checked(study: Path) -> None:
    study.rename(study.parent.parent / "study")
    assert check_invariants(study.parent.parent / "study", deep=True) == []


def test_checking_changes_nothing(study: Path) -> None:
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    check_invariants(study, deep=True)
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before


def test_a_study_that_nobody_holds_any_more_is_not_live(study: Path) -> None:
    (study / ".0123.tmp").write_text("half")
    assert [item.rule for item in check_invariants(study)] == ["temporaries"]
    with hold(study / "driver.lease"):
        assert check_invariants(study) == []
