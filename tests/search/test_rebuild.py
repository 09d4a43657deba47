"""The Optuna study is rebuilt from the records, and goes on as if nothing had happened."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.study import Study
from optuna.trial import TrialState

from benchmarks.replay import Way, replay
from benchmarks.stopping import NEAR
from benchmarks.table import read_table
from pdsearch.config import Space
from pdsearch.observer import Observer
from pdsearch.search.optuna_backend.rebuild import contradictions
from pdsearch.search.records import Records
from pdsearch.search.study import open_as_driver
from tests.faults import scripted_study


def opened(where: Space) -> dict[str, Study]:
    with open_as_driver(where, Observer()) as study:
        return {"search": study.scheduler.search.study, "baseline": study.scheduler.unpruned.study}


def told(studies: dict[str, Study]) -> list[Any]:
    """What counts of every trial; places that hold nothing are left out, they may end a journal or not."""
    return [
        (kind, t.number, t.state, t.values, t.params, t.intermediate_values, t.system_attrs)
        for kind, study in studies.items()
        for t in study.get_trials(deepcopy=False)
        if t.state in (TrialState.COMPLETE, TrialState.PRUNED)
    ]


@pytest.fixture
def finished(root: Path) -> Space:
    where = scripted_study.space(root, trials=7)
    scripted_study.run(where)
    return where


@pytest.fixture
def unstopped(root: Path) -> Space:
    """A study all of whose search trials are complete."""
    where = scripted_study.space(root, stop="off")
    scripted_study.run(where)
    return where


@pytest.fixture
def cut_off(root: Path) -> Space:
    """A study whose driver vanished while its third search trial ran."""
    where = scripted_study.space(root)
    with open_as_driver(where, Observer()) as study:
        scripted_study.drive(study, scripted_study.Worker(study), until="search-00002")
    return where


def test_a_journal_that_is_whole_is_left_alone(root: Path, finished: Space) -> None:
    before = (root / "study" / "journal.log").read_bytes()
    opened(finished)
    assert (root / "study" / "journal.log").read_bytes() == before


def test_a_journal_that_is_gone_is_written_again(root: Path, finished: Space) -> None:
    before = told(opened(finished))
    (root / "study" / "journal.log").unlink()
    again = opened(finished)
    assert told(again) == before
    assert len(before) >= 4
    names = [study.metric_names for study in again.values()]
    assert names == [["student.val_accuracy"]] * 2, "Optuna's own tools show what is improved"


def test_a_journal_cut_at_any_line_and_within_it_says_the_same_afterwards(
    root: Path, finished: Space
) -> None:
    journal = root / "study" / "journal.log"
    before, content = told(opened(finished)), journal.read_bytes()
    ends = [position + 1 for position, byte in enumerate(content) if byte == 10]
    for cut in sorted({0, *ends, *(end - 1 for end in ends), *range(7, len(content), 997)}):
        journal.write_bytes(content[:cut])
        assert told(opened(finished)) == before, f"cut at byte {cut}"


def test_a_trial_in_flight_is_asked_again_with_its_parameters(root: Path, cut_off: Space) -> None:
    journal = root / "study" / "journal.log"
    asked = Records(root / "study" / "trials").asked["search-00002"]
    content = journal.read_bytes()
    lines = content.splitlines(keepends=True)
    for kept in range(len(lines)):
        journal.write_bytes(b"".join(lines[:kept]))
        with open_as_driver(cut_off, Observer()) as study:
            (waiting,) = study.scheduler.search.study.get_trials(states=(TrialState.WAITING,))
            assert waiting.system_attrs["fixed_params"] == asked.params
            assert study.scheduler.search.finished == 2


def test_a_study_cut_off_and_robbed_of_its_journal_ends_as_it_would_have(root: Path, cut_off: Space) -> None:
    straight = root / "straight"
    scripted_study.run(scripted_study.space(straight))
    (root / "study" / "journal.log").unlink()
    scripted_study.run(cut_off)
    keys = [{r.key for r in Records(r / "study" / "trials").finished.values()} for r in (root, straight)]
    assert keys[0] == keys[1]


def overwritten(content: bytes) -> bytes:
    return content.replace(b'"state":1', b'"state":2', 1)


def reordered(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(reversed(lines))


def unreadable(content: bytes) -> bytes:
    return b"\xff\xfe" * 40 + content


def lying(content: bytes) -> bytes:
    """Another objective value in every line that has one."""
    return content.replace(b'"values":[0.', b'"values":[9.')


@pytest.mark.parametrize("damage", [overwritten, reordered, unreadable, lying])
def test_a_journal_that_contradicts_the_records_is_replaced(
    root: Path, finished: Space, damage: Callable[[bytes], bytes]
) -> None:
    journal = root / "study" / "journal.log"
    before, content = told(opened(finished)), journal.read_bytes()
    journal.write_bytes(damage(content))
    assert journal.read_bytes() != content
    assert told(opened(finished)) == before
    assert [path.read_bytes() for path in journal.parent.glob("journal.log.*")]


def test_a_record_that_is_gone_or_torn_is_made_again_and_nothing_is_trained(
    root: Path, unstopped: Space
) -> None:
    trials = root / "study" / "trials"
    before = Records(trials).finished
    gone, torn = [name for name, record in before.items() if record.state == "complete" and record.params][:2]
    (trials / f"{gone}.finished.json").unlink()
    (trials / f"{torn}.finished.json").write_bytes(b'{"format":1,"id":"sear')
    worker = scripted_study.run(unstopped)
    after = Records(trials).finished
    assert worker.epochs == 0
    assert sorted(str(r.values) for r in before.values()) == sorted(str(r.values) for r in after.values())
    assert [path.name for path in trials.glob("*.broken")]


def test_differences_name_the_trial(root: Path, unstopped: Space) -> None:
    studies = opened(unstopped)
    records = Records(root / "study" / "trials")
    lost, changed = [
        name for name, r in records.finished.items() if r.state == "complete" and r.number is not None
    ][:2]
    values = {**records.finished[changed].values, "student.val_accuracy": 0.123}
    records.finished[changed] = replace(records.finished[changed], values=values)
    del records.finished[lost]
    found = [
        line.split()[0].rstrip(":")
        for line in contradictions(studies["search"], unstopped, records, "search")
    ]
    assert sorted(found) == sorted([lost, changed])


def test_the_copy_of_a_study_opens_elsewhere(root: Path, finished: Space) -> None:
    shutil.copytree(root / "study", root / "copy" / "study")
    assert told(opened(scripted_study.space(root / "copy"))) == told(opened(finished))


def test_stopping_saves_epochs_and_the_good_trials_are_found() -> None:
    table, halving = read_table(), Way("halving", stop={"halving": {"min_epochs": 6, "factor": 2}})
    played = [
        replay(table, halving, seed=seed, workers=2, enough=lambda trace: len(trace.played) >= 24)
        for seed in range(5)
    ]
    assert sum(trace.played[-1].spent for trace in played) < 0.85 * 5 * 24 * table.epochs
    assert sum(trace.first(table.good - NEAR) is not None for trace in played) >= 3
