"""Failed trials are tried again; what studies of a storage use is known."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.artifacts import Store, hold
from pdsearch.errors import ConfigError, StudyHeldError
from pdsearch.io.record_files import read_finished
from pdsearch.observer import Observer
from pdsearch.pipeline import keys as stage_keys
from pdsearch.pipeline.failure import lost_workers
from pdsearch.protocol import Outcome
from pdsearch.search.maintenance import (
    MOST_TRIES,
    deserves_another_try,
    drivers,
    retry_failed,
    stays_failed,
    used_artifacts,
)
from pdsearch.search.maintenance import failed as still_failed
from pdsearch.search.study import open_as_driver
from pdsearch.search.verify import check_invariants
from tests.faults import scripted_study
from tests.search.scripted_trials import Watching, play, play_one, searching, space
from tests.some import some


def run_failing(where: Any, kind: str, times: int) -> list[str]:
    """Run a study in which the first jobs of a kind fail; return their ids."""
    failed: list[str] = []
    with open_as_driver(where, Observer()) as study:
        worker = scripted_study.Worker(study)
        while (job := study.scheduler.next()) is not None:
            if job.kind == kind and len(failed) < times:
                failed.append(job.id)
                study.scheduler.finish(job, Outcome("failed", "ValueError: a bug since mended"))
            else:
                study.scheduler.finish(job, scripted_study.outcome(study, job, worker))
    return failed


def keys(root: Path, *names: str) -> list[str]:
    found = scripted_study.read(root)
    return [found[f"{name}.finished.json"]["key"] for name in names]


def test_what_is_wanted_again_outlives_the_journal(root: Path) -> None:
    where = scripted_study.space(root)
    failed = run_failing(where, "search", 2)
    assert retry_failed(root / "study") == failed
    assert retry_failed(root / "study") == [], "asked for twice"
    tried = set()
    for _ in range(2):
        (root / "study" / "journal.log").unlink()
        scripted_study.run(where)
        good = {record["key"] for record in scripted_study.read(root).values() if record["state"] != "failed"}
        assert set(keys(root, *failed)) <= good
        with open_as_driver(where, Observer()) as study:
            assert study.scheduler.search.failed == 0
            assert not study.scheduler.search.owed
        tried.add(len(scripted_study.records(root)))
    assert len(tried) == 1, "tried again a second time"
    assert check_invariants(root / "study") == []


def test_a_failed_trial_that_was_cut_off_when_it_was_tried_again_is_still_wanted(root: Path) -> None:
    where = scripted_study.space(root)
    (failed,) = run_failing(where, "search", 1)
    retry_failed(root / "study")
    with open_as_driver(where, Observer()) as study:
        job = some(scripted_study.drive(study, scripted_study.Worker(study), until="search"))
        assert job.key == keys(root, failed)[0]
    with open_as_driver(where, Observer()) as study:
        assert study.scheduler.search.owed
        assert not study.scheduler.idle()
    scripted_study.run(where)
    assert check_invariants(root / "study") == []


@pytest.mark.parametrize("kind", ["baseline", "confirm"])
def test_another_failed_job_runs_again_and_its_first_record_is_kept(root: Path, kind: str) -> None:
    where = scripted_study.space(root)
    (failed,) = run_failing(where, kind, 1)
    assert retry_failed(root / "study") == [failed]
    scripted_study.run(where)
    assert scripted_study.read(root)[f"{failed}.finished.json"]["state"] == "complete"
    assert (root / "study" / "trials" / f"{failed}.failed-1.json").exists()
    assert check_invariants(root / "study") == []


def test_a_folder_that_is_no_study_and_one_that_is_being_run_are_refused(root: Path) -> None:
    with pytest.raises(ConfigError):
        retry_failed(root)
    scripted_study.run(scripted_study.space(root, trials=1))
    lease = hold(root / "study" / "driver.lease", beat_s=0.05)
    with lease, pytest.raises(StudyHeldError):
        retry_failed(root / "study")


def run_again(where: Any, reason: str | None = None) -> tuple[list[str], list[str]]:
    """Run a study once more; retries fail for a reason, or go well. Return what was said, and their keys."""
    watching, retried = Watching(), []
    was = read_finished(Path(where.storage) / "study" / "trials").found.values()
    known = {record.key for record in was if record.state == "failed"}
    with open_as_driver(where, watching) as study:
        worker = scripted_study.Worker(study)
        while (job := study.scheduler.next()) is not None:
            retried += [job.key] if job.key in known else []
            end = Outcome("failed", reason) if job.key in known and reason else None
            study.scheduler.finish(job, end or scripted_study.outcome(study, job, worker))
    return [text for text in watching.said if "retrying" in text], retried


@pytest.mark.parametrize(("kind", "times"), [("search", 2), ("baseline", 1), ("confirm", 1)])
def test_the_same_command_tries_once_more_what_failed_and_says_so(root: Path, kind: str, times: int) -> None:
    where = scripted_study.space(root)
    failed = keys(root, *run_failing(where, kind, times))
    said, retried = run_again(where)
    assert said == [f"retrying {times} failed trial{'s' * (times > 1)}"]
    assert sorted(retried) == sorted(failed)
    assert run_again(where) == ([], [])
    assert check_invariants(root / "study") == []


@pytest.mark.parametrize("kind", ["search", "confirm"])
def test_what_fails_alike_again_stays_failed_until_a_person_asks(root: Path, kind: str) -> None:
    where = scripted_study.space(root)
    run_failing(where, kind, 1)
    alike = "ValueError: a bug since mended"
    assert len(run_again(where, f"{alike} (traceback in trials/other.log)")[1]) == 1
    assert run_again(where, alike) == ([], [])
    with open_as_driver(where, Observer()) as study:
        assert stays_failed(study.scheduler.records) == still_failed(study.scheduler.records) != []
    assert len(retry_failed(root / "study")) == 1
    run_again(where)
    with open_as_driver(where, Observer()) as study:
        assert still_failed(study.scheduler.records) == []


def test_what_machines_did_is_tried_again_by_every_run_within_bounds(root: Path) -> None:
    where = scripted_study.space(root)
    run_failing(where, "search", 1)
    tries = 1
    while run_again(where, lost_workers(4, "its node is gone"))[1]:
        tries += 1
    assert tries == MOST_TRIES
    assert check_invariants(root / "study") == []


@pytest.mark.parametrize(
    ("reasons", "again"),
    [
        (["ValueError: 5 is no 10"], True),
        (["ValueError: 5 is no 10", "ValueError: 6 is no 10"], False),
        (["ValueError: a", "KeyError: b"], True),
        (["ValueError: a", "KeyError: b", "TypeError: c"], False),
        (["ValueError: a", "out of memory", "ValueError: a"], False),
        (["ValueError: a", "ValueError: a", "out of memory"], True),
        (["out of memory"] * (MOST_TRIES - 1), True),
        (["out of memory"] * MOST_TRIES, False),
    ],
)
def test_another_try_is_deserved_once_by_an_error_and_a_few_times_by_machines(
    reasons: list[str], again: bool
) -> None:
    assert deserves_another_try(reasons) is again


def finite(root: Path) -> Any:
    """A space of two points, of which four trials are wanted: it is used up."""
    return space(
        root, space={"distill.temperature": [1.0, 4.0]}, prune={"method": "none"}, search=searching(trials=4)
    )


def test_a_failed_trial_of_a_space_that_is_used_up_is_tried_again(tmp_path: Path) -> None:
    where = finite(tmp_path)
    assert run_failing(where, "search", 1)
    with open_as_driver(where, Observer()) as study:
        assert "search" in {job.kind for job in play(study.scheduler)}
        assert study.scheduler.search.failed == 0
        assert study.scheduler.search.exhausted
        assert study.scheduler.idle()


def test_a_trial_that_was_cut_off_when_its_space_was_used_up_is_gone_on_with(tmp_path: Path) -> None:
    where = finite(tmp_path)
    with open_as_driver(where, Observer()) as study:
        cut_off = set()
        while (job := study.scheduler.next()) is not None:
            if job.kind == "search":
                cut_off.add(job.key)
            else:
                play_one(study.scheduler, job)
        assert study.scheduler.search.exhausted
        assert len(cut_off) == 2
    with open_as_driver(where, Observer()) as study:
        assert {job.key for job in play(study.scheduler) if job.kind == "search"} == cut_off
        assert study.scheduler.idle()


def test_what_a_trial_cut_off_will_ask_for_is_used_and_all_that_a_finished_study_built(root: Path) -> None:
    with open_as_driver(scripted_study.space(root), Observer()) as study:
        job = some(scripted_study.drive(study, scripted_study.Worker(study), until="search"))
        assert ("teacher", stage_keys.dense_key(job.spec)) in used_artifacts(root).artifacts
        assert {("prune", key) for key in stage_keys.round_keys(job.spec)} <= used_artifacts(root).artifacts
    scripted_study.run(scripted_study.space(root))
    assert set(Store(root / "artifacts").entries()) <= used_artifacts(root).artifacts


@pytest.mark.parametrize("kind", ["asked", "finished"])
def test_a_record_that_names_nobody_knows_what_is_told(root: Path, kind: str) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    assert used_artifacts(root).torn == ()
    torn = root / "study" / "trials" / f"search-00000.{kind}.json"
    torn.chmod(0o644)
    torn.write_text("{}")
    assert [broken.path for broken in used_artifacts(root).torn] == [torn]


def test_a_driver_at_work_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted_study.run(scripted_study.space(root, trials=1))
    assert list(drivers(root)) == []
    with hold(root / "study" / "driver.lease"):
        ((folder, owner),) = drivers(root)
        assert folder == root / "study"
        monkeypatch.setattr("pdsearch.search.maintenance.is_dead", lambda other: other == owner)
        assert list(drivers(root)) == []
