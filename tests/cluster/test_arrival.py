"""A worker is waited for with a line and a bound, and what ends the run is Ray's own reason."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cluster.messages import Guarded
from pdsearch.errors import ClusterError

pytestmark = pytest.mark.usefixtures("ray_session")

LOG = """\
[2026-11-29 00:36:00,123 I 11 11] (raylet) main.cc:1: Starting
[2026-11-29 00:36:01,123 W 11 12] (raylet) worker_pool.cc:586: Some workers have not registered within the timeout.
[2026-11-29 00:36:02,123 I 11 12] (raylet) main.cc:2: Going on
"""


class World:
    """A clock, a cluster's room, its workers, and what was said."""

    def __init__(self, folder: Path | None = None) -> None:
        from pdsearch.cluster.arrival import Arrival

        self.now = 0.0
        workers: Any = SimpleNamespace(any_up=False, fit=1)
        self.workers = workers
        self.study: Any = SimpleNamespace(done=False, closing=False)
        self.work = Guarded(self.study)
        self.said: list[str] = []
        self.arrival = Arrival(self.work, workers, folder, self.said.append, lambda: self.now)

    def after(self, seconds: float) -> bool:
        """Let time pass; return whether the run is given up."""
        self.now += seconds
        return self.arrival.stop_all()


def test_a_worker_that_does_not_start_ends_the_run_with_what_ray_says(tmp_path: Path) -> None:
    (tmp_path / "session_latest" / "logs").mkdir(parents=True)
    (tmp_path / "session_latest" / "logs" / "raylet.out").write_text(LOG)
    world = World(tmp_path)
    assert not world.after(0)
    assert not world.after(9)
    assert world.said == []
    assert not world.after(2)
    assert not world.after(288)
    assert world.said == ["waiting for a worker to start; without one within 5 min the run ends"]
    assert world.after(2)
    assert isinstance(world.work.error, ClusterError)
    assert "no worker started within 5 min: Some workers have not registered" in str(world.work.error)


def test_a_node_is_waited_for_longer_and_each_wait_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdsearch.cluster.arrival._of_autoscaler", lambda: "its autoscaler says: no quota")
    world = World()
    world.workers.fit = 0
    for _ in range(6):
        assert not world.after(599)
    world.workers.fit = 1
    for _ in range(3):
        assert not world.after(299)
    assert world.said == [
        "waiting for a node with room for a trial; without one within 60 min the run ends",
        "waiting for a worker to start; without one within 15 min the run ends",
    ]
    assert not world.after(0)
    assert world.after(303)
    assert "no worker started within 15 min: its autoscaler says: no quota" in str(world.work.error)


def test_a_worker_that_is_there_ends_the_wait_and_one_that_is_lost_begins_another() -> None:
    world = World()
    assert not world.after(0)
    assert not world.after(899)
    world.workers.any_up = True
    assert not world.after(10_000)
    world.workers.any_up = False
    assert not world.after(10_000)
    assert not world.after(899)
    assert world.after(2)


def test_a_run_that_is_asked_to_stop_waits_for_no_worker() -> None:
    world = World()
    assert not world.after(0)
    world.study.closing = True
    assert not world.after(10_000)
    assert not world.arrival("t", {"done": True})


def test_the_run_ends_with_the_scheduler_whatever_waits() -> None:
    world = World()
    world.study.done = True
    assert world.after(0)


def test_ray_that_says_nothing_is_said_to(tmp_path: Path) -> None:
    from pdsearch.cluster.arrival import reason_of_ray

    assert reason_of_ray(tmp_path) == "Ray gave no reason"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, ""),
        (
            {"__autoscaling_error": "Traceback\nBotoCoreError: no credentials"},
            "failed: BotoCoreError: no credentials",
        ),
        ({"__autoscaling_status": "{"}, ""),
        ({"__autoscaling_status": "[]"}, ""),
        (
            {
                "__autoscaling_status": json.dumps(
                    {
                        "autoscaler_report": {
                            "failed_nodes": [["10.0.0.7", "gpu"]],
                            "pending_nodes": [["10.0.0.8", "gpu", "setting-up"]],
                            "node_availability_summary": {
                                "node_availabilities": {
                                    "gpu": {
                                        "unavailable_node_information": {
                                            "category": "InsufficientInstanceCapacity",
                                            "description": "none left",
                                        }
                                    }
                                }
                            },
                        }
                    }
                )
            },
            "says: gpu: InsufficientInstanceCapacity (none left); gpu at 10.0.0.7 failed; gpu is setting-up",
        ),
    ],
)
def test_an_autoscaler_s_report_is_quoted(
    told: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pdsearch.cluster.arrival import _of_autoscaler

    monkeypatch.setattr(
        "ray.experimental.internal_kv._internal_kv_get",
        lambda name: told.get(name.decode(), "").encode() or None,
    )
    assert _of_autoscaler().endswith(expected)
    assert bool(_of_autoscaler()) == bool(expected)
