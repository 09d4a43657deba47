"""Is a node that is not fit named, with the error that says what to do?"""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError, StorageError

pytestmark = pytest.mark.usefixtures("ray_session")


def check(tmp_path: Path, **changes: Any) -> None:
    import ray

    from pdsearch.cluster.probe import check_nodes, expected

    with expected(tmp_path, code={}, files=[]) as asked:
        check_nodes(ray.nodes(), {**asked, **changes})


def test_a_fit_node_passes_and_the_mark_goes(tmp_path: Path) -> None:
    check(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_without_nodes_nothing_is_asked() -> None:
    from pdsearch.cluster.probe import check_nodes

    check_nodes([], {})


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
    from pdsearch.cluster.probe import expected, refusal_of

    assert refusal_of(None) is None
    with expected(tmp_path, code={}, files=[]) as asked:
        assert refusal_of(asked) is None
        assert "is not the driver's; mount the same storage" in str(refusal_of({**asked, "token": "another"}))


def test_a_node_that_has_left_is_no_fault(tmp_path: Path) -> None:
    import ray

    from pdsearch.cluster.probe import check_nodes, expected

    gone = {"NodeID": "ab" * 28, "NodeManagerAddress": "127.0.0.9"}
    with expected(tmp_path, code={}, files=[]) as asked:
        check_nodes([*ray.nodes(), gone], asked)
