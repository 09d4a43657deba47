"""`make test` gives each of its two processes whole files, and all that start Ray to one of them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import conftest
from tests.architecture.tree import ROOT
from tests.shares import Shares

FILES = {
    "plain": "def test_it(): ...",
    "slow": "@pytest.mark.slow\ndef test_it(): ...",
    "marked": "@pytest.mark.ray\ndef test_it(): ...",
    "with_fixture": "def test_it(ray_session): ...",
}


@pytest.fixture
def items(tmp_path: Path) -> list[Any]:
    """A test of each file, as pytest has collected them."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code)
    marks = {tmp_path / "slow": "slow", tmp_path / "marked": "ray"}
    return [
        SimpleNamespace(
            path=path, get_closest_marker=lambda asked, path=path: marks.get(path) == asked or None
        )
        for path in (tmp_path / name for name in FILES)
    ]


def test_files_stay_whole_and_those_on_ray_are_as_one(items: list[Any], tmp_path: Path) -> None:
    assert "-n 2 --dist loadfile --no-loadscope-reorder" in (ROOT / "Makefile").read_text()
    assert hasattr(LoadFileScheduling, "_split_scope"), "xdist asks by another name for what belongs together"
    shares = Shares.__new__(Shares)
    shares.config = SimpleNamespace(rootpath=tmp_path)
    found = {item.path.name: shares._split_scope(f"{item.path.name}::test_it[1]") for item in items}
    assert found == {"plain": "plain", "slow": "slow", "marked": "on Ray", "with_fixture": "on Ray"}


def test_what_is_on_ray_and_then_what_is_slow_comes_first_where_tests_are_handed_out(
    items: list[Any],
) -> None:
    alone, handed_out = SimpleNamespace(), SimpleNamespace(workerinput={})
    before = [*items]
    conftest.pytest_collection_modifyitems(alone, items)  # type: ignore[arg-type]
    assert items == before
    conftest.pytest_collection_modifyitems(handed_out, items)  # type: ignore[arg-type]
    assert [item.path.name for item in items] == ["marked", "with_fixture", "slow", "plain"]


@pytest.mark.parametrize(("dist", "ours"), [("loadfile", True), ("load", False)])
def test_only_whole_files_are_handed_out_so(dist: str, ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = SimpleNamespace(getvalue={"dist": dist}.get)
    monkeypatch.setattr(conftest, "Shares", lambda *_: "shares")
    assert (conftest.pytest_xdist_make_scheduler(asked, None) == "shares") is ours  # type: ignore[arg-type]
