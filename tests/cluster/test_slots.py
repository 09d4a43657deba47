"""Is the room of a cluster counted as Ray would fill it, node by node?"""

from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("ray_session")


def node(cpu: float, gpu: float = 0.0, *, alive: bool = True) -> dict[str, Any]:
    resources = {name: count for name, count in (("CPU", cpu), ("GPU", gpu)) if count}
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
        ([node(8, 4)], 2, 2, 2),
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


def test_what_changes_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [node(0)]
    found = room(monkeypatch, nodes, 2, 1)
    assert "no node of the cluster has room for a trial (2 CPU and 1 GPU); waiting" in found.news()
    assert found.news() is None
    nodes.append(node(8, 2))
    assert found.news() == "the cluster has room for 2 trial(s) at once, on 1 node(s)"
    assert found.news() is None
