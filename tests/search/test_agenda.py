"""Handing out jobs, taking their outcomes, and the limits that end a study early."""

from collections.abc import Generator
from pathlib import Path

import pytest

from pdsearch.errors import StudyHeldError
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.search.study import open_study
from tests.search.scripted_trials import Watching, failing, play, ready, reports, run, searching, space, whole


def test_baselines_and_confirmation_are_never_stopped(tmp_path: Path) -> None:
    halving = searching(trials=8, stop={"halving": {"min_epochs": 1, "factor": 2}})
    asked: list[Job] = []

    def noting(job: Job) -> Generator[Event, None, None]:
        asked.append(job)
        yield from whole(job)

    watching, _ = run(tmp_path, noting, search=halving)
    assert all(bool(job.decide_at) == (job.kind == "search") for job in asked)
    assert "stopped" in watching.states
    stopped = [name for name, state in zip(watching.ids, watching.states, strict=True) if state == "stopped"]
    assert all(name.startswith("search-") for name in stopped)


def test_too_many_failures_end_the_search_with_the_reason(tmp_path: Path) -> None:
    watching, agenda = run(tmp_path, failing, search=searching(max_failures=2))
    assert watching.states.count("failed") == 3
    assert agenda.done
    assert "it broke" in str(agenda.failure)
    assert "search.max_failures" in str(agenda.failure)
    assert not [name for name in watching.ids if name.startswith("confirm")]


def test_some_failures_are_made_up_for(tmp_path: Path) -> None:
    broken: list[str] = []

    def once(job: Job) -> Generator[Event, None, None]:
        if job.kind == "search" and len(broken) < 2:
            broken.append(job.id)
            yield from failing(job)
        else:
            yield from whole(job)

    watching, agenda = run(tmp_path, once)
    assert agenda.failure is None
    assert watching.states.count("failed") == 2
    assert agenda.search.finished == 6


def test_an_interruption_closes_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    watching = Watching()
    with open_study(space(tmp_path), watching) as study:
        agenda = study.agenda

        def interrupted(job: Job) -> Generator[Event, None, None]:
            if job.id == "search-00002":
                yield ready(job)
                yield reports(job)[0]
                agenda.interrupt()
            yield from whole(job)

        play(agenda, interrupted)
        assert agenda.done
        assert watching.ids[-1] == "search-00002"
        assert "search-00002" not in agenda.records.finished
    resumed, agenda = run(tmp_path)
    assert next(name for name in resumed.ids if not name.startswith("teacher")) == "search-00003"
    assert agenda.search.study.trials[3].params == agenda.search.study.trials[2].params
    assert agenda.search.finished == 6


def test_a_slot_waits_while_a_phase_s_last_jobs_run(tmp_path: Path) -> None:
    with open_study(space(tmp_path, search=searching(trials=2)), Watching()) as study:
        agenda = study.agenda
        while (job := agenda.next()) is not None and job.kind != "search":
            agenda.finish(job, Outcome("complete", values={"teacher.val_accuracy": 0.9}))
        second = agenda.next()
        assert job is not None
        assert second is not None
        assert agenda.next() is None
        assert not agenda.done
        for running in (job, second):
            agenda.tell(running, ready(running))
            agenda.finish(running, Outcome("failed", "why"))
        assert agenda.next() is not None


def test_progress_of_an_ended_job_is_forgotten(tmp_path: Path) -> None:
    def leaving(job: Job) -> Generator[Event, None, None]:
        (tmp_path / "progress" / job.key).mkdir(parents=True, exist_ok=True)
        yield from whole(job)

    run(tmp_path, leaving)
    assert list((tmp_path / "progress").iterdir()) == []


def test_progress_that_a_closing_worker_saved_once_more_is_gone_when_the_study_is_closed(
    tmp_path: Path,
) -> None:
    with open_study(space(tmp_path), Watching()) as study:
        jobs = play(study.agenda)
        for job in jobs:
            (tmp_path / "progress" / job.key).mkdir(parents=True)
        (tmp_path / "progress" / ("f" * 64)).mkdir()
    built = {
        job.key for job in jobs if job.kind == "teacher"
    }  # Not built in this play, hence still in progress.
    assert {path.name for path in (tmp_path / "progress").iterdir()} == {*built, "f" * 64}


def test_a_run_whose_study_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    with open_study(space(tmp_path), Watching()) as study:
        job = study.agenda.next()
        assert job is not None
        folder = Path(str(study.folder))
        lease = folder / "driver.lease"
        content = lease.read_bytes()
        lease.unlink()
        lease.write_bytes(content)  # Another run's, as far as this one can tell.
        before = sorted(folder.rglob("*"))
        with pytest.raises(StudyHeldError, match="took the study over"):
            study.agenda.next()
        with pytest.raises(StudyHeldError):
            study.agenda.finish(job, Outcome("complete"))
        assert sorted(folder.rglob("*")) == before
