"""The slots of a cluster are counted as Ray would fill them, node by node."""

from typing import Any

import pytest

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
