"""A search on Ray gives the results of the serial one, and survives the death of its workers."""

import os
import signal
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from pdsearch.cluster.connection.session import Session
from pdsearch.config import Resources, Space, parse
from pdsearch.driver import run_serially
from pdsearch.protocol import Event, Job, Outcome, Report
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.study import open_as_driver
from tests.pipeline.digits import ALONE, RECIPE, distilled, job, run, site, stored
from tests.pipeline.given import Given
from tests.search.scripted_trials import Watching

pytestmark = pytest.mark.ray

RECIPES = {"epochs": 2, "lr": 0.05, "batch_size": 16}
DOCUMENT: dict[str, Any] = {
    "study": "both",
    "data": {"source": "digits", "subset": 100, "val_fraction": 0.2},
    "teacher": {"model": "convnet_s", "seed": 0},
    "student": {"model": "convnet_s"},
    "train": {"teacher": RECIPES, "recover": RECIPES, "distill": {**RECIPES, "epochs": 4}},
    "distill": {"loss": "kd"},
    "space": {
        "prune.method": ["none", "magnitude"],
        "prune.ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["magnitude"]}},
        "distill.temperature": {"low": 1, "high": 20, "log": True},
    },
    "search": {"trials": 5, "seed": 0, "stop": {"halving": {"min_epochs": 1, "factor": 2}}},
    "confirm": {"teachers": 1, "seeds": 1},
}


def space(folder: Path) -> Space:
    return parse({**DOCUMENT, "storage": str(folder)})


def told(record: TrialRecord) -> dict[str, Any]:
    """What of a record must not depend on who ran it."""
    names = ("id", "key", "params", "state", "reports", "values", "test", "teacher", "student", "baselines")
    return {name: getattr(record, name) for name in names}


def on_ray(work: Any, session: Session, folder: Path, **more: Any) -> None:
    from pdsearch.cluster import runner

    runner.run(
        work,
        session,
        resources=Resources(cpu=1, gpu=0),
        artifacts=folder / "artifacts",
        progress=folder / "progress",
        folder=folder,
        **more,
    )


def test_tunes_own_files_go_with_a_run_on_a_cluster_and_what_earlier_ones_left_too(
    ray_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, grown = tmp_path / "t", tmp_path / "ray" / "both" / "tune" / "tune" / "job-1"
    temporary.mkdir()
    grown.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    joined = Session(None, ray_session.slots)
    with open_as_driver(space(tmp_path / "ray"), Watching()) as study:
        seen: list[Path] = []
        finish = study.scheduler.finish

        def looked_at(job: Job, outcome: Outcome) -> None:
            seen.extend(temporary.rglob("job-*"))
            finish(job, outcome)

        monkeypatch.setattr(study.scheduler, "finish", looked_at)
        on_ray(study.scheduler, joined, tmp_path / "ray" / "both")
    assert seen, "Tune wrote elsewhere"
    assert list(temporary.iterdir()) == []
    assert not grown.parents[1].exists()


def test_a_search_on_ray_is_the_search_in_one_process(ray_session: Session, tmp_path: Path) -> None:
    with open_as_driver(space(tmp_path / "serial"), Watching()) as study:
        run_serially(study.scheduler, site(tmp_path / "serial"))
        expected = {name: told(record) for name, record in study.scheduler.records.finished.items()}
    watching = Watching()
    with open_as_driver(space(tmp_path / "ray"), watching) as study:
        on_ray(study.scheduler, ray_session, tmp_path / "ray")
        assert study.scheduler.done
        found = {name: told(record) for name, record in study.scheduler.records.finished.items()}
    assert found == expected
    assert stored(tmp_path / "ray") == stored(tmp_path / "serial")
    assert {"complete", "stopped"} <= set(watching.states)


def test_a_job_whose_worker_is_killed_is_done_again_with_the_same_result(
    ray_session: Session, tmp_path: Path
) -> None:
    spec = distilled(ALONE, recipe=RECIPE.__class__(epochs=60, lr=0.05, batch_size=8))
    killed: list[int] = []

    def kill(asked: Job, event: Event) -> bool:
        if asked.id == "long" and isinstance(event, Report) and not killed:
            (worker,) = workers()
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)
        return False

    given = Given([job(spec, id="long", decide_at=(1,)), job(ALONE, id="short")], kill)
    on_ray(given, ray_session, tmp_path)
    assert killed
    assert {name: outcome.state for name, outcome in given.outcomes.items()} == {
        "long": "complete",
        "short": "complete",
    }
    epochs = [event.epoch for event in given.told["long"] if isinstance(event, Report)]
    assert epochs[-60:] == list(range(1, 61))
    assert len(epochs) > 60
    _, expected = run(spec, site(tmp_path / "alone"))
    assert given.outcomes["long"].values == expected.values


def test_a_job_that_no_worker_starts_is_done_by_the_next_that_does(
    ray_session: Session, tmp_path: Path
) -> None:
    from pdsearch.cluster.worker import JobTrainable

    class Refusing(JobTrainable):
        """Cannot start its next job, twice; a class of a function's own travels whole."""

        def reset(self, *words: Any, **named: Any) -> bool:
            tried = sorted(tmp_path.glob("tried-*"))
            if len(tried) < 2:
                (tmp_path / f"tried-{len(tried)}").touch()
                raise FileNotFoundError("its folder was removed")
            return super().reset(*words, **named)

    said: list[str] = []
    given = Given([job(ALONE, id="first"), job(distilled(ALONE, seed=1), id="second")])
    on_ray(given, ray_session, tmp_path, trainable=Refusing, say=said.append)
    assert {name: outcome.state for name, outcome in given.outcomes.items()} == {
        "first": "complete",
        "second": "complete",
    }
    assert len([*tmp_path.glob("tried-*")]) == 2
    told = next(
        text for text in said if "could not start" in text
    )  # On a busy machine a worker is waited for first.
    assert told.endswith("FileNotFoundError: its folder was removed")


def test_a_worker_that_ray_ended_for_want_of_memory_is_a_death_and_not_the_end_of_the_run(
    ray_session: Session,  # noqa: ARG001 - ray.tune reads its environment when it is imported
) -> None:
    from ray.air.execution._internal.actor_manager import RayActorManager
    from ray.exceptions import OutOfMemoryError, RayActorError

    from pdsearch.cluster.runner import _any_death

    told: list[Exception] = []
    worker = SimpleNamespace(actor_id=1, _on_error=None)
    task = SimpleNamespace(_tracked_actor=worker, _on_error=lambda _worker, error: told.append(error))

    class Manager:
        """What of Tune's manager that method uses, called as Tune calls it."""

        def __init__(self) -> None:
            self._failed_actor_ids: set[int] = set()

        def _cleanup_actor(self, tracked_actor: object) -> None:
            """Nothing."""

        def failed(self, **named: Any) -> None:
            RayActorManager._actor_task_failed(self, **named)  # type: ignore[arg-type]

    manager = Manager()
    with _any_death():
        manager.failed(tracked_actor_task=task, exception=OutOfMemoryError("memory is low"))
    assert [(type(error), str(error)) for error in told] == [(RayActorError, "memory is low")]
    with pytest.raises(RuntimeError, match="unexpected"):
        manager.failed(tracked_actor_task=task, exception=OutOfMemoryError("as Tune has it"))


def workers() -> list[int]:
    """The processes of this test's Ray that run jobs."""
    found = psutil.Process().children(recursive=True)
    return [process.pid for process in found if "JobTrainable" in _words(process)]


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended, or is about to
        return ""
