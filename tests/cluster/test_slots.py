"""Slots are counted node by node as Ray would fill them, and the state of workers follows what Tune and they say."""

import time
from typing import Any

import pytest

from pdsearch.cluster.slots import Deaths, Slots, Workers
from pdsearch.protocol import Progress, Report
from tests.pipeline.digits import ALONE, distilled, job

pytestmark = pytest.mark.usefixtures("ray_session")


def node(cpu: float, gpu: float = 0.0, kind: str = "", *, alive: bool = True) -> dict[str, Any]:
    counts = (("CPU", cpu), ("GPU", gpu), (f"accelerator_type:{kind}", kind and 1.0))
    resources = {name: count for name, count in counts if count}
    return {"Alive": alive, "Resources": resources}


def room(
    monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], cpu: int, gpu: float, **more: Any
) -> Any:
    import ray

    from pdsearch.cluster.slots import GrowingSlots

    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr("pdsearch.cluster.slots._LOOK_EVERY_S", 0.0)
    return GrowingSlots(cpu, gpu, **more)


@pytest.mark.parametrize(
    ("nodes", "cpu", "gpu", "fit"),
    [
        ([node(0)], 1, 0, 0),
        ([node(0), node(3), node(3)], 2, 0, 2),  # Six CPUs, but a trial does not spread over two nodes.
        ([node(8, 2), node(8, 2, alive=False)], 1, 1, 2),
        ([node(8, 2)], 1, 0.4, 4),  # Two on each card; what is left of two cards is no card.
        ([node(8, 2)], 1, 0.1, 8),
        ([node(16, 2)], 1, 0.1428, 14),
        ([node(64)], 1, 1, 0),
    ],
)
def test_trials_that_fit(
    monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], cpu: int, gpu: float, fit: int
) -> None:
    assert room(monkeypatch, nodes, cpu, gpu).fit == fit


def test_a_cluster_may_double_and_a_limit_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert room(monkeypatch, [node(0)], 1, 0).wanted == 4
    assert room(monkeypatch, [node(6)], 1, 0).wanted == 12
    limited = room(monkeypatch, [node(6)], 1, 0, limit=3)
    assert (limited.fit, limited.wanted) == (3, 3)
    assert room(monkeypatch, [node(2)], 1, 0, limit=3).wanted == 3


def test_only_nodes_with_the_kind_of_gpu_that_is_asked_for_count(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [node(8, 2, "T4"), node(8, 1, "A100"), node(8, 1)]
    assert room(monkeypatch, nodes, 1, 0.5, accelerator="A100").fit == 2
    assert room(monkeypatch, nodes, 1, 0.5).fit == 8
    said = room(monkeypatch, nodes, 1, 1, accelerator="H100").news()
    assert "(1 CPU and 1 GPU of the kind H100; the nodes have A100, T4); waiting for one to join" in said
    found = room(monkeypatch, [node(8, 1)], 2, 0.5, accelerator="H100")
    assert "of the kind H100; the nodes have none that Ray names" in found.news()
    resources = {"accelerator_type:H100": 0.001}
    assert found.of_a_task() == {"num_cpus": 2, "num_gpus": 0.5, "resources": resources}


def test_what_changes_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [node(0)]
    found = room(monkeypatch, nodes, 2, 1)
    assert "no node of the cluster has room for a trial (2 CPU and 1 GPU); waiting" in found.news()
    assert found.news() is None
    nodes.append(node(8, 2))
    assert found.news() == "the cluster has room for 2 trials at once, on 1 node"
    assert found.news() is None


JOB = job(distilled(ALONE), id="job-0")


def up(slots: int, *names: str) -> Workers:
    """Workers that rest, all of them heard of."""
    workers = Workers(Slots(slots))
    for name in names:
        workers.begin(name, None)
        workers.hear(name)
    return workers


def given(workers: Workers, name: str) -> None:
    """A trial begins with a job in a worker that is up."""
    workers.begin(name, JOB)
    workers.hear(name)


def test_a_trial_comes_until_its_worker_is_heard_of() -> None:
    workers = Workers(Slots(2))
    assert (workers.empty, workers.free, workers.coming) == (True, 2, 0)
    workers.begin("a", None)
    assert (workers.empty, workers.free, workers.coming) == (False, 2, 1)
    workers.hear("a")
    assert (workers.free, workers.coming) == (1, 0)
    given(workers, "t")
    assert (workers.free, workers.coming) == (0, 0)


def test_jobs_are_handed_out_once_all_workers_are_up_and_ever_after() -> None:
    workers = up(2, "a")
    assert not workers.warmed_up()
    workers.begin("b", None)
    workers.hear("b")
    assert workers.warmed_up()
    workers.end("b")
    assert workers.warmed_up()


def test_a_job_waits_for_its_first_worker_and_is_homeless_when_it_lost_one() -> None:
    workers = up(2, "a")
    workers.begin("t", JOB)
    assert (workers.waiting, workers.homeless) == (["t"], False)
    workers.hear("t")
    assert workers.waiting == []
    workers.end("t")
    workers.deaths.lose(JOB.id, started=True)
    workers.begin("u", JOB)
    assert (workers.waiting, workers.homeless) == (["u"], True)
    workers.hear("u")
    assert not workers.homeless


def test_a_waiting_job_starves_where_every_slot_is_taken() -> None:
    workers = up(2, "a")
    workers.begin("t", JOB)
    assert not workers.starved
    workers.begin("b", None)
    workers.hear("b")
    assert workers.starved
    workers.hear("t")
    assert not workers.starved


def test_an_unfit_node_s_slot_is_no_slot_and_its_trial_does_not_rest() -> None:
    workers = up(3, "a", "b")
    assert workers.park("b")
    assert not workers.park("b")
    assert (workers.fit, workers.free, workers.empty) == (2, 1, False)
    workers.end("a")
    assert workers.empty
    workers.end("b")  # Its next worker may be on another node.
    assert (workers.fit, workers.empty) == (3, True)


def test_a_parked_worker_takes_no_slot_of_those_that_are_fit() -> None:
    workers = up(3, "a", "b")
    workers.park("b")
    workers.begin("t", JOB)
    assert not workers.starved


def test_of_a_trial_that_ended_nothing_is_kept() -> None:
    workers = Workers(Slots(1))
    given(workers, "t")
    workers.where["t"] = "10.0.0.3"
    workers.park("t")
    workers.start("t")
    workers.end("t")
    assert (workers.jobs, workers.where, workers.started("t")) == ({}, {}, False)
    assert (workers.empty, workers.fit, workers.free) == (True, 1, 1)


def epoch(number: int) -> list[Report]:
    return [Report(number, 9, 0.5, 1.0)]


def test_deaths_count_anew_only_after_a_step_further_than_before() -> None:
    deaths = Deaths()
    deaths.hear("t", epoch(1))
    assert [deaths.lose("t", started=True) for _ in range(2)] == [1, 2]
    assert deaths.behind == {"t"}
    deaths.hear("t", epoch(1))
    assert deaths.behind == {"t"}, "it repeats what it did before"
    deaths.hear("t", epoch(2))
    assert deaths.behind == set()
    assert deaths.lose("t", started=True) == 1


def test_a_death_before_a_job_was_started_is_none_of_its() -> None:
    deaths = Deaths()
    assert [deaths.lose("t", started=started) for started in (True, False, False, True)] == [1, 1, 1, 2]
    assert deaths.lose("u", started=False) == 0
    assert deaths.behind == {"t", "u"}, "both are to go on before others"


def test_every_training_of_a_trial_has_steps_of_its_own() -> None:
    deaths = Deaths()
    deaths.hear("t", [Progress("teacher", "", 1, 9)])
    for step, forgiven in (
        (Progress("teacher", "", 1, 9), False),
        (Progress("prune", "round 1", 1, 9), True),
        (Progress("prune", "round 2", 1, 9), True),
    ):
        deaths.lose("t", started=True)
        deaths.hear("t", [step])
        assert (deaths.behind == set()) == forgiven


def test_what_is_no_epoch_is_no_step() -> None:
    deaths = Deaths()
    deaths.lose("t", started=True)
    deaths.hear("t", [Progress("data", "", 0, 0)])
    assert deaths.behind == {"t"}


def test_workers_are_given_up_when_many_started_nothing_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    deaths = Deaths()
    assert [deaths.in_vain() for _ in range(9)] == [*range(1, 10)]
    now[0] += 61
    assert not deaths.hopeless, "few of them"
    deaths.in_vain()
    assert deaths.hopeless
    deaths.started()
    assert not deaths.hopeless
    assert [deaths.in_vain() for _ in range(99)][-1] == 99
    assert not deaths.hopeless, "a moment that passes"


def test_deaths_of_a_trial_that_ended_are_forgotten() -> None:
    deaths = Deaths()
    deaths.hear("t", epoch(1))
    deaths.lose("t", started=True)
    deaths.forget("t")
    assert deaths.behind == set()
    assert deaths.lose("t", started=True) == 1, "its death was another's"
    deaths.hear("t", epoch(1))
    assert deaths.behind == set(), "nor is its epoch known"
