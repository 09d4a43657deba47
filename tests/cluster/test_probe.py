"""An unfit node is named, with the error that says what to do."""

from pathlib import Path
from typing import Any, cast

import pytest

from pdsearch.cluster.examine import Asked, examine, trial_computes_bf16
from pdsearch.errors import ConfigError, StorageError

pytestmark = pytest.mark.usefixtures("ray_session")


def check(tmp_path: Path, **changes: Any) -> None:
    import ray

    from pdsearch.cluster.node_checks import check_nodes, expected

    with expected(tmp_path, code={}, files=[], gpu=0) as asked:
        check_nodes(ray.nodes(), cast("Asked", {**asked, **changes}))


def test_a_fit_node_passes_and_the_mark_goes(tmp_path: Path) -> None:
    check(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_without_nodes_nothing_is_asked() -> None:
    from pdsearch.cluster.node_checks import check_nodes

    check_nodes([], cast("Asked", {}))


@pytest.mark.parametrize(
    ("changes", "kind", "words", "code"),
    [
        ({"token": "another"}, StorageError, "is not the driver's", 74),
        ({"versions": {"torch": "1.0"}}, ConfigError, "not 1.0", 2),
        ({"files": ["/nowhere/images"]}, ConfigError, "it has no /nowhere/images", 2),
    ],
)
def test_one_that_is_not_is_named(
    tmp_path: Path,
    changes: dict[str, Any],
    kind: type[ConfigError] | type[StorageError],
    words: str,
    code: int,
) -> None:
    with pytest.raises(kind, match=words) as caught:
        check(tmp_path, **changes)
    assert caught.value.exit_code == code
    assert str(caught.value.where).startswith("node 127.0.0.1 (")
    assert caught.value.hint


def test_a_worker_asks_for_its_own_node(tmp_path: Path) -> None:
    from pdsearch.cluster.node_checks import expected, refusal_of

    assert refusal_of(None) is None
    with expected(tmp_path, code={}, files=[], gpu=0) as asked:
        assert refusal_of(asked) is None
        assert "is not the driver's; mount the same storage" in str(refusal_of({**asked, "token": "another"}))


def test_a_node_that_has_left_is_no_fault(tmp_path: Path) -> None:
    import ray

    from pdsearch.cluster.node_checks import check_nodes, expected

    gone = {"NodeID": "ab" * 28, "NodeManagerAddress": "127.0.0.9"}
    with expected(tmp_path, code={}, files=[], gpu=0) as asked:
        check_nodes([*ray.nodes(), gone], asked)


@pytest.mark.parametrize("times", [1, 99])
def test_a_node_on_which_ray_lost_a_process_is_asked_again(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    get: Any = ray.get
    lost: list[Any] = []

    def losing(answer: Any) -> Any:
        if len(lost) < times:
            lost.append(answer)
            raise ray.exceptions.WorkerCrashedError
        return get(answer)

    monkeypatch.setattr(ray, "get", losing)
    monkeypatch.setattr("pdsearch.cluster.node_checks._PAUSE_S", 0.0)
    if times == 1:
        check(tmp_path)
        return
    with pytest.raises(ConfigError, match="it could not be examined: The worker died unexpectedly"):
        check(tmp_path)
    assert len(lost) == 6


class Room:
    """Slots on nodes that come while they are waited for."""

    def __init__(self, *nodes: str, gpu: float = 0.5, coming: str = "") -> None:
        self.gpu, self._nodes, self._coming = gpu, [*nodes], coming

    def nodes(self) -> list[Any]:
        return [*self._nodes]

    def news(self) -> str:
        return "no node; waiting"

    def of_a_task(self) -> dict[str, Any]:
        self._nodes.append(self._coming)
        return {"num_cpus": 0}


@pytest.mark.parametrize(
    ("able", "expected", "said"),
    [
        ({"a": True, "b": True}, True, ""),
        ({"a": False, "b": False}, False, ""),
        ({"a": True, "b": False}, False, "does without bf16, which b would have to emulate"),
    ],
)
def test_all_workers_devices_settle_the_precision(
    able: dict[str, bool], expected: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pdsearch.cluster import node_checks as probe

    def answers(nodes: list[str], function: object, asked: Any) -> list[tuple[str, bool | None]]:
        if function is examine:
            assert asked["gpu"] == 0.5
        return [(node, None if function is examine else able[node]) for node in nodes]

    monkeypatch.setattr(probe, "_answers", answers)
    heard: list[str] = []
    room: Any = Room(*able)
    assert probe.workers_compute_bf16(room, heard.append) is expected
    assert said in "".join(heard)
    assert bool(heard) == bool(said)


def test_the_first_node_is_waited_for_and_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from pdsearch.cluster import node_checks as probe

    heard: list[str] = []
    monkeypatch.setattr(probe, "_LOOK_EVERY_S", 0.0)
    (node,) = ray.nodes()
    room: Any = Room(gpu=0, coming=node)
    monkeypatch.chdir("/")  # The function goes there, here in this process.
    assert probe.workers_compute_bf16(room, heard.append) is trial_computes_bf16(0)
    assert heard == ["no node; waiting: `precision: auto` is settled by a worker's device"]
