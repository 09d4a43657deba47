"""The phases of a study, one job after another."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import StudyHeldError
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.search.study import open_as_driver
from tests.search.scripted_trials import (
    Watching,
    failing,
    play,
    play_one,
    ready,
    reports,
    run,
    searching,
    space,
    unmeasured,
    whole,
)
from tests.some import some


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
    watching, scheduler = run(tmp_path, failing, search=searching(max_failures=2))
    assert watching.states.count("failed") == 3
    assert scheduler.done
    assert "it broke" in str(scheduler.failure)
    assert "search.max_failures" in str(scheduler.failure)
    assert not [name for name in watching.ids if name.startswith("confirm")]


def test_a_node_that_fails_all_its_trials_is_named_where_others_do_not(tmp_path: Path) -> None:
    def on_two_nodes(job: Job) -> Generator[Event, None, None]:
        bad = job.kind == "search" and (job.number or 0) > 1
        for event in (failing if bad else whole)(job):
            yield replace(event, host="bad" if bad else "good") if isinstance(event, Outcome) else event

    _, scheduler = run(tmp_path, on_two_nodes, search=searching(max_failures=2))
    assert "3 trials failed, all of them on bad, and none elsewhere" in str(scheduler.failure)


def test_some_failures_are_made_up_for(tmp_path: Path) -> None:
    broken: list[str] = []

    def once(job: Job) -> Generator[Event, None, None]:
        if job.kind == "search" and len(broken) < 2:
            broken.append(job.id)
            yield from failing(job)
        else:
            yield from whole(job)

    watching, scheduler = run(tmp_path, once)
    assert scheduler.failure is None
    assert watching.states.count("failed") == 2
    assert scheduler.search.finished == 6


def test_an_interruption_closes_what_runs_and_starts_nothing(tmp_path: Path) -> None:
    watching = Watching()
    with open_as_driver(space(tmp_path), watching) as study:
        scheduler = study.scheduler

        def interrupted(job: Job) -> Generator[Event, None, None]:
            if job.id == "search-00002":
                yield ready(job)
                yield reports(job)[0]
                scheduler.interrupt()
            yield from whole(job)

        play(scheduler, interrupted)
        assert scheduler.done
        assert watching.ids[-1] == "search-00002"
        assert "search-00002" not in scheduler.records.finished
    resumed, scheduler = run(tmp_path)
    assert next(name for name in resumed.ids if not name.startswith("teacher")) == "search-00003"
    assert scheduler.search.study.trials[3].params == scheduler.search.study.trials[2].params
    assert scheduler.search.finished == 6


def test_a_slot_waits_while_a_phase_s_last_jobs_run(tmp_path: Path) -> None:
    with open_as_driver(space(tmp_path, search=searching(trials=2)), Watching()) as study:
        scheduler = study.scheduler
        while (job := scheduler.next()) is not None and job.kind != "search":
            scheduler.finish(job, Outcome("complete", values={"teacher.val_accuracy": 0.9}))
        second = some(scheduler.next())
        assert scheduler.next() is None
        assert not scheduler.done
        for running in (some(job), second):
            scheduler.tell(running, ready(running))
            scheduler.finish(running, Outcome("failed", "why"))
        assert scheduler.next() is not None


def test_progress_of_an_ended_job_is_forgotten(tmp_path: Path) -> None:
    def leaving(job: Job) -> Generator[Event, None, None]:
        (tmp_path / "progress" / job.key).mkdir(parents=True, exist_ok=True)
        yield from whole(job)

    run(tmp_path, leaving)
    assert list((tmp_path / "progress").iterdir()) == []


def test_progress_that_a_closing_worker_saved_once_more_is_gone_when_the_study_is_closed(
    tmp_path: Path,
) -> None:
    with open_as_driver(space(tmp_path), Watching()) as study:
        jobs = play(study.scheduler)
        for job in jobs:
            (tmp_path / "progress" / job.key).mkdir(parents=True)
        (tmp_path / "progress" / ("f" * 64)).mkdir()
    built = {
        job.key for job in jobs if job.kind == "teacher"
    }  # Not built in this play, hence still in progress.
    assert {path.name for path in (tmp_path / "progress").iterdir()} == {*built, "f" * 64}


def test_a_run_whose_study_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    with open_as_driver(space(tmp_path), Watching()) as study:
        job = some(study.scheduler.next())
        folder = Path(str(study.folder))
        lease = folder / "driver.lease"
        content = lease.read_bytes()
        lease.unlink()
        lease.write_bytes(content)  # Another run's, as far as this one can tell.
        before = sorted(folder.rglob("*"))
        with pytest.raises(StudyHeldError, match="took the study over"):
            study.scheduler.next()
        with pytest.raises(StudyHeldError):
            study.scheduler.finish(job, Outcome("complete"))
        assert sorted(folder.rglob("*")) == before


def kinds(watching: Watching) -> list[str]:
    """Kinds of jobs in the order they started, each once."""
    return list(dict.fromkeys(name.rsplit("-", 1)[0] for name in watching.ids))


GOALS = (("student.val_accuracy", "maximize"), ("student.latency", "minimize"))


def test_the_student_alone_is_trained_beside_the_dense_teacher(tmp_path: Path) -> None:
    """On equal terms: what an objective needs is measured of it, too."""
    objectives = [{"metric": metric, "goal": goal} for metric, goal in GOALS]
    with open_as_driver(space(tmp_path, objectives=objectives), Watching()) as study:
        first, second = some(study.scheduler.next()), some(study.scheduler.next())
        assert [first.kind, second.kind] == ["teacher", "baseline"]
        assert second.measures == ("student.latency",)
        assert study.scheduler.next() is None  # The search waits for the teacher.


def test_groundwork_then_the_search_then_confirmation_and_nothing_more(tmp_path: Path) -> None:
    watching, scheduler = run(tmp_path)
    assert [name for name, _, _ in watching.phases] == [
        "groundwork",
        "search",
        "comparison",
        "topping up",
        "confirmation",
    ]
    assert [kind for kind in kinds(watching) if kind != "baseline"] == [
        "teacher",
        "baseline-alone",
        "search",
        "baseline-fair",
        "confirm",
    ]
    assert scheduler.search.finished == 6
    assert set(watching.states) == {"complete"}
    before = {path: path.read_bytes() for path in (tmp_path / "small" / "trials").iterdir()}
    with open_as_driver(space(tmp_path), Watching()) as study:
        assert study.resumed
        assert study.scheduler.idle()
        assert [job for job in play(study.scheduler) if job.kind != "teacher"] == []
        assert study.scheduler.done
    assert {path: path.read_bytes() for path in (tmp_path / "small" / "trials").iterdir()} == before


def test_teachers_of_further_seeds_are_trained_before_the_confirmation(tmp_path: Path) -> None:
    confirm = {"teachers": 1, "seeds": 2}
    run(tmp_path, confirm=confirm)
    watching, scheduler = run(tmp_path, confirm={**confirm, "teacher_seeds": 3})
    assert [name for name, _, _ in watching.phases[-2:]] == ["confirmation teachers", "confirmation"]
    # Nothing is built in this play, so the searched teacher is asked for as well.
    assert kinds(watching) == ["teacher", "confirm"]
    seeds = {record.spec.teacher.seed for record in scheduler.records.finished.values()}
    assert seeds == {0, 1, 2}


def test_a_timeout_counts_the_time_of_all_runs_and_leads_to_confirmation(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir(parents=True)
    (tmp_path / "small" / "elapsed.json").write_text('{"seconds": 3600}')
    watching, scheduler = run(tmp_path, search=searching(timeout="1h"))
    assert scheduler.search.finished == 0
    watching, scheduler = run(tmp_path, search=searching(timeout="2h"))
    assert scheduler.search.finished == 6
    assert "confirm" in kinds(watching)


def test_used_up_gpu_hours_end_the_search_and_lead_to_confirmation(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir(parents=True)
    (tmp_path / "small" / "elapsed.json").write_text('{"seconds": 60, "gpu_seconds": 7200}')
    limited = space(tmp_path, search=searching(gpu_hours=2.0), resources={"gpu": 1})
    watching = Watching()
    with open_as_driver(limited, watching, ask_workers=lambda: False) as study:
        play(study.scheduler)
        assert "search.gpu_hours is used up: no further trial is begun" in watching.said
        assert (study.scheduler.search.finished, study.scheduler.phases.cut_by()) == (0, "search.gpu_hours")
    more = space(tmp_path, search=searching(gpu_hours=2.5), resources={"gpu": 1})
    with open_as_driver(more, Watching(), ask_workers=lambda: False) as study:
        play(study.scheduler)
        assert (study.scheduler.search.finished, study.scheduler.phases.cut_by()) == (6, None)
    (tmp_path / "small" / "elapsed.json").write_text('{"seconds": 60, "gpu_seconds": 9001}')
    with open_as_driver(more, Watching(), ask_workers=lambda: False) as study:
        assert study.scheduler.phases.cut_by() is None, "all trials were there before it was used up"


def test_a_study_says_whether_it_begins_or_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second, third = Watching(), Watching(), Watching()
    with open_as_driver(space(tmp_path), first) as study:
        while (job := study.scheduler.next()) is not None and job.id != "search-00004":
            play_one(study.scheduler, job)
    with open_as_driver(space(tmp_path), second) as study:
        play(study.scheduler)
    with open_as_driver(space(tmp_path), third):
        pass
    assert "new study in small" in first.said
    assert any(text.startswith("note: prune.ratio") for text in first.said)
    assert second.said == ["going on in small: 4 of 6 trials done"]
    assert third.said == ["all is done already in small"]


def test_fewer_trials_than_have_finished_leave_nothing_to_do(tmp_path: Path) -> None:
    with open_as_driver(space(tmp_path), Watching()) as study:
        while (job := study.scheduler.next()) is not None and job.id != "search-00004":
            play_one(study.scheduler, job)
    fewer = space(tmp_path, search=searching(trials=3), confirm="off")
    with open_as_driver(fewer, Watching()) as study:
        play(study.scheduler)
    with open_as_driver(fewer, Watching()) as study:
        assert study.scheduler.search.waiting == 1
        assert study.scheduler.idle()
        assert play(study.scheduler) == [] or {job.kind for job in play(study.scheduler)} <= {"teacher"}


def test_without_validation_every_configuration_is_confirmed_and_nothing_searched(tmp_path: Path) -> None:
    listed = {"distill.temperature": [2.0, 4.0], "prune.method": ["none", "magnitude"]}
    sections: dict[str, Any] = {
        "data": {"source": "digits", "subset": 100, "val_fraction": 0},
        "space": listed,
        "prune": {"ratio": 0.36},
        "search": {},
        "confirm": {"seeds": 2},
    }
    watching, scheduler = run(tmp_path, unmeasured, **sections)
    assert [name for name, _, _ in watching.phases] == ["groundwork", "confirmation"]
    records = list(scheduler.records.finished.values())
    # Four configurations and the student alone; the unpruned teacher's are the pruned ones' partners.
    assert len(records) == 2 * (4 + 1)
    assert {record.kind for record in records} == {"confirm"}
    assert all(record.test is not None for record in records)
    assert scheduler.idle()
    again, _ = run(tmp_path, unmeasured, **{**sections, "confirm": {"seeds": 3}})
    assert len([name for name in again.ids if name.startswith("confirm")]) == 5


def test_one_configuration_without_validation_is_trained_once_and_tested(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "data": {"source": "digits", "subset": 100, "val_fraction": 0},
        "space": {},
        "search": {},
        "confirm": "off",
    }
    watching, scheduler = run(tmp_path, unmeasured, **sections)
    assert kinds(watching) == ["teacher", "search"]
    (record,) = scheduler.records.finished.values()
    assert "student.val_accuracy" not in record.values
    assert record.test is not None
    assert scheduler.idle()
