"""What is broken in a study is found, and nothing else is."""

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.artifacts import draft_name, hold
from pdsearch.observer import Observer
from pdsearch.records.study_record import UNKNOWN_SPACE, StudyRecord
from pdsearch.records.trial_record import AskedRecord, TrialRecord, record_to_json
from pdsearch.search.records import Records
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import StudyRecords, check_invariants, check_records, read_records
from tests.faults import scripted_study
from tests.records import trial_records
from tests.records.trial_records import SPEC, asked, reports
from tests.some import some


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    scripted_study.run(scripted_study.space(folder))
    return folder


@pytest.fixture
def study(made: Path, root: Path) -> Path:
    """The folder of a finished study, its own copy."""
    shutil.copytree(made, root / "runs")
    return root / "runs" / "study"


def test_a_finished_study_is_as_it_must_be_and_checking_changes_nothing(study: Path) -> None:
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    assert check_invariants(study, deep=True) == []
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == before


def test_a_study_that_is_being_run_is_no_broken_one(root: Path) -> None:
    with open_as_driver(scripted_study.space(root), Observer()) as study:
        worker = scripted_study.Worker(study)
        for _ in range(3):
            job = some(study.scheduler.next())
            study.scheduler.finish(job, scripted_study.outcome(study, job, worker))
        assert study.scheduler.next() is not None
        assert check_invariants(study.folder) == []
    assert check_invariants(root / "study") == [], (
        "a trial that was cut off is no fault: the next run goes on"
    )


def test_a_copy_without_artifacts_can_be_checked(study: Path) -> None:
    study.rename(study.parent.parent / "study")
    assert check_invariants(study.parent.parent / "study", deep=True) == []


def test_a_study_that_nobody_holds_any_more_is_not_live(study: Path) -> None:
    (study / ".0123.tmp").write_text("half")
    assert [item.rule for item in check_invariants(study)] == ["temporaries"]
    with hold(study / "driver.lease"):
        assert check_invariants(study) == []


def record(name: str = "search-00000", **changed: Any) -> TrialRecord:
    given = {"key": name, "params": {"a": 1}, "reports": reports(0.5, 0.5), **changed}
    return trial_records.finished(int(name[-5:]), **given)


def rules(*finished: TrialRecord, asked: tuple[AskedRecord, ...] = ()) -> list[str]:
    found = StudyRecords({r.id: r for r in asked}, {r.id: r for r in finished})
    return [item.rule for item in check_records(found, StudyRecord(study="small", space=UNKNOWN_SPACE))]


def test_whole_records_are_whole() -> None:
    began = asked(key="search-00000", params={"a": 1})
    assert rules(record(), record("search-00001"), asked=(began,)) == []


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "baseline"},
        {"number": 7},
        {"key": "b" * 64},
        {"params": {}},
        {"spec": replace(SPEC, precision="bf16")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_trial_ends_as_what_it_was_asked_as(other: dict[str, Any]) -> None:
    began = replace(asked(key="search-00000", params={"a": 1}), **other)
    assert rules(record(), asked=(began,)) == ["records"]


def test_a_key_is_finished_once_per_kind() -> None:
    assert rules(record(key="k"), record("search-00001", key="k")) == ["once"]
    assert rules(record(key="k"), record("search-00001", key="k", kind="baseline")) == []


def test_a_failed_trial_may_be_tried_again() -> None:
    assert rules(record(key="k", state="failed"), record("search-00001", key="k")) == []


@pytest.mark.parametrize("epochs", [[1, 1], [2, 1], [1, 3], [0, 1]])
def test_reports_follow_one_another(epochs: list[int]) -> None:
    assert rules(record(reports=tuple(replace(reports(0.5)[0], epoch=epoch) for epoch in epochs))) == [
        "reports"
    ]


def test_an_accuracy_that_no_epoch_reached_is_told() -> None:
    """One altered digit leaves a record whole; derived students have no Optuna study that says otherwise."""
    assert rules(record(values={"student.val_accuracy": 0.5}, kind="confirm")) == []
    assert rules(record(values={"student.val_accuracy": 0.8}, kind="confirm")) == ["reports"]


def test_files_that_are_no_records_are_named(tmp_path: Path) -> None:
    (tmp_path / "search-00000.asked.json").write_text(json.dumps(record_to_json(asked())))
    (tmp_path / "search-00001.finished.json").write_text(json.dumps(record_to_json(record())))
    (tmp_path / "search-00002.finished.json").write_text('{"id": "sea')
    found, broken = read_records(tmp_path, UNKNOWN_SPACE, live=False)
    assert list(found.asked) == ["search-00000"]
    assert not found.finished
    assert sorted(Path(item.where).name for item in broken) == [
        "search-00001.finished.json",
        "search-00002.finished.json",
    ]


def broken_rules(study: Path) -> set[str]:
    return {item.rule for item in check_invariants(study)}


def test_a_journal_that_is_gone_or_cut_is_seen_and_mended_by_a_run(study: Path) -> None:
    journal = study / "journal.log"
    content = journal.read_bytes()
    journal.unlink()
    assert broken_rules(study) == {"ledger", "best"}
    journal.write_bytes(content[: len(content) // 2])
    assert "ledger" in broken_rules(study)
    assert all(item.mended for item in check_invariants(study))
    scripted_study.run(scripted_study.space(study.parent))
    assert broken_rules(study) == set()


def test_an_altered_value_is_seen(study: Path) -> None:
    journal = study / "journal.log"
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b'"values":[0.', b'"values":[9.'))
    assert broken_rules(study) == {"ledger", "best"}


def test_a_trial_without_a_record_is_seen(study: Path) -> None:
    name = next(n for n, r in Records(study / "trials").finished.items() if r.state == "stopped")
    (study / "trials" / f"{name}.finished.json").unlink()
    assert [(item.rule, item.where) for item in check_invariants(study)] == [("ledger", name)]


@pytest.mark.parametrize("junk", [b'{"op_code": 4}\n', b'{"op_code":99,"worker_id":"a"}\n'])
def test_lines_that_make_no_sense_are_a_finding_and_no_traceback(study: Path, junk: bytes) -> None:
    journal = study / "journal.log"
    journal.write_bytes(junk + journal.read_bytes())
    assert broken_rules(study) <= {"ledger", "best"}


def _leave(area: Path) -> None:
    (area / draft_name()).mkdir(parents=True)
    os._exit(0)


@pytest.fixture
def draft(study: Path) -> Path:
    """A draft in the store whose writer has ended."""
    area = study.parent / "artifacts" / ".tmp"
    process = multiprocessing.get_context("fork").Process(target=_leave, args=(area,))
    process.start()
    process.join()
    return next(area.iterdir())


def test_what_an_ended_process_was_writing_is_seen_and_swept_by_a_run(study: Path, draft: Path) -> None:
    assert [item.where for item in check_invariants(study)] == [str(draft)]
    scripted_study.run(scripted_study.space(study.parent))
    assert check_invariants(study) == []
    assert not draft.exists()


def test_what_a_living_process_writes_is_left_alone(study: Path) -> None:
    draft = study.parent / "artifacts" / ".tmp" / draft_name()
    draft.mkdir(parents=True)
    assert check_invariants(study) == []
    scripted_study.run(scripted_study.space(study.parent))
    assert draft.exists()


def test_a_changed_byte_is_seen_by_a_deep_look_only_and_another_size_always(study: Path) -> None:
    path = next((study.parent / "artifacts" / "teacher").rglob("weights.bin"))
    path.chmod(0o644)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    assert check_invariants(study) == []
    assert [item.rule for item in check_invariants(study, deep=True)] == ["artifacts"]
    path.write_bytes(b"short")
    assert [item.rule for item in check_invariants(study)] == ["artifacts"]
