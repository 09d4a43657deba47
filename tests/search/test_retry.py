from pathlib import Path
from typing import Any

import pytest

from pdsearch.artifacts import hold
from pdsearch.errors import ConfigError, StudyHeldError
from pdsearch.events import Outcome
from pdsearch.invariants import check_invariants
from pdsearch.search.retry import retry_failed
from pdsearch.search.study import open_study
from tests.faults import world
from tests.faults.conftest import root
from tests.search.played import play, play_one, searching, space

__all__ = ["root"]


def run_failing(where: Any, kind: str, times: int) -> list[str]:
    """Run a study in which the first jobs of a kind fail; return their ids."""
    failed: list[str] = []
    with open_study(where, world.Silent()) as study:
        worker = world.Worker(study)
        while (job := study.agenda.next()) is not None:
            if job.kind == kind and len(failed) < times:
                failed.append(job.id)
                study.agenda.finish(job, Outcome("failed", "ValueError: a bug since mended"))
            else:
                study.agenda.finish(job, world.outcome(study, job, worker))
    return failed


def keys(root: Path, *names: str) -> list[str]:
    found = world.read(root)
    return [found[f"{name}.finished.json"]["key"] for name in names]


def test_a_failed_search_trial_is_asked_again_with_its_parameters(root: Path) -> None:
    where = world.space(root)
    failed = run_failing(where, "search", 2)
    before = world.records(root)
    assert retry_failed(root / "study") == failed
    assert retry_failed(root / "study") == [], "asked for twice"
    world.run(where)
    after = world.read(root)
    assert before.items() <= world.records(root).items()
    good = {record["key"] for record in after.values() if record["state"] != "failed"}
    assert set(keys(root, *failed)) <= good
    assert check_invariants(root / "study") == []


def test_what_is_wanted_again_outlives_the_journal(root: Path) -> None:
    where = world.space(root)
    failed = run_failing(where, "search", 2)
    assert retry_failed(root / "study") == failed
    tried = set()
    for _ in range(2):
        (root / "study" / "journal.log").unlink()
        world.run(where)
        good = {record["key"] for record in world.read(root).values() if record["state"] != "failed"}
        assert set(keys(root, *failed)) <= good
        with open_study(where, world.Silent()) as study:
            assert study.agenda.search.failed == 0
            assert not study.agenda.search.owed
        tried.add(len(world.records(root)))
    assert len(tried) == 1, "tried again a second time"
    assert check_invariants(root / "study") == []


def test_a_failed_trial_that_was_cut_off_when_it_was_tried_again_is_still_wanted(root: Path) -> None:
    where = world.space(root)
    (failed,) = run_failing(where, "search", 1)
    retry_failed(root / "study")
    with open_study(where, world.Silent()) as study:
        while (job := study.agenda.next()) is not None and job.kind != "search":
            study.agenda.finish(job, world.outcome(study, job, world.Worker(study)))
        assert job is not None
        assert job.key == keys(root, failed)[0]
    with open_study(where, world.Silent()) as study:
        assert study.agenda.search.owed
        assert not study.agenda.idle()
    world.run(where)
    assert check_invariants(root / "study") == []


def test_what_was_tried_again_is_no_failure_any_more(root: Path) -> None:
    where = world.space(root)
    run_failing(where, "search", 2)
    retry_failed(root / "study")
    world.run(where)
    with open_study(where, world.Silent()) as study:
        assert study.agenda.search.failed == 0
    assert retry_failed(root / "study") == []


@pytest.mark.parametrize("kind", ["baseline", "confirm"])
def test_another_failed_job_runs_again_and_its_first_record_is_kept(root: Path, kind: str) -> None:
    where = world.space(root)
    (failed,) = run_failing(where, kind, 1)
    assert retry_failed(root / "study") == [failed]
    world.run(where)
    assert world.read(root)[f"{failed}.finished.json"]["state"] == "complete"
    assert (root / "study" / "trials" / f"{failed}.failed-1.json").exists()
    assert check_invariants(root / "study") == []


def test_a_study_without_failures_stays_as_it_is(root: Path) -> None:
    world.run(world.space(root))
    before = world.records(root)
    assert retry_failed(root / "study") == []
    assert world.records(root) == before


def test_a_folder_that_is_no_study_and_one_that_is_being_run_are_refused(root: Path) -> None:
    with pytest.raises(ConfigError):
        retry_failed(root)
    world.run(world.space(root, trials=1))
    lease = hold(root / "study" / "driver.lease", beat_s=0.05)
    with lease, pytest.raises(StudyHeldError):
        retry_failed(root / "study")


def finite(root: Path) -> Any:
    """A space of two points, of which four trials are wanted: it is used up."""
    return space(
        root, space={"distill.temperature": [1.0, 4.0]}, prune={"method": "none"}, search=searching(trials=4)
    )


def test_a_failed_trial_of_a_space_that_is_used_up_is_tried_again(tmp_path: Path) -> None:
    where = finite(tmp_path)
    failed = run_failing(where, "search", 1)
    with open_study(where, world.Silent()) as study:
        assert study.agenda.search.exhausted
    assert retry_failed(tmp_path / "small") == failed
    with open_study(where, world.Silent()) as study:
        assert "search" in {job.kind for job in play(study.agenda)}
        assert study.agenda.search.failed == 0
        assert study.agenda.search.exhausted
        assert study.agenda.idle()


def test_a_trial_that_was_cut_off_when_its_space_was_used_up_is_gone_on_with(tmp_path: Path) -> None:
    where = finite(tmp_path)
    with open_study(where, world.Silent()) as study:
        cut_off = set()
        while (job := study.agenda.next()) is not None:
            if job.kind == "search":
                cut_off.add(job.key)
            else:
                play_one(study.agenda, job)
        assert study.agenda.search.exhausted
        assert len(cut_off) == 2
    with open_study(where, world.Silent()) as study:
        assert {job.key for job in play(study.agenda) if job.kind == "search"} == cut_off
        assert study.agenda.idle()
