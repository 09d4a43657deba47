import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdsearch.artifacts import Store, hold
from pdsearch.cli.main import main
from tests.faults import scripted_study

STRAY = "f" * 64


def payload(folder: Path) -> None:
    (folder / "x").write_bytes(bytes(1000))


@pytest.fixture
def store(root: Path) -> Store:
    """The store of a study, with a round that no study knows."""
    scripted_study.run(scripted_study.space(root))
    store = Store(root / "artifacts")
    store.publish("prune", STRAY, payload, {})
    return store


def test_it_lists_what_lies_there_and_what_nobody_uses(
    store: Store, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "ls", str(root), "--json"]) == 0
    rows = {row["stage"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["prune"]["unused_bytes"] == store.size("prune", STRAY)
    assert rows["student"]["unused_bytes"] == 0
    assert main(["cache", "ls", str(root)]) == 0
    assert "used by no study" in capsys.readouterr().out


def test_it_collects_what_no_study_uses_and_nothing_else(
    store: Store, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(store.entries())
    assert main(["cache", "gc", str(root), "--dry-run"]) == 0
    assert "1 artifacts would go, 1." in capsys.readouterr().out
    assert set(store.entries()) == before
    assert main(["cache", "gc", str(root)]) == 0
    assert before - set(store.entries()) == {("prune", STRAY)}


def test_asked_to_it_takes_all_and_a_run_makes_what_it_needs(store: Store, root: Path) -> None:
    assert main(["cache", "gc", str(root), "--all", "--max-size", "1GB"]) == 0
    assert list(store.entries())
    assert main(["cache", "gc", str(root), "--all"]) == 0
    assert list(store.entries()) == []
    before = scripted_study.records(root)
    scripted_study.run(scripted_study.space(root, trials=5))
    assert before.items() <= scripted_study.records(root).items()


def test_a_dense_teacher_stays_unless_all_is_asked_for(store: Store, root: Path) -> None:
    store.publish("teacher", STRAY, payload, {})
    assert main(["cache", "gc", str(root)]) == 0
    assert ("teacher", STRAY) in set(store.entries())


def test_it_takes_nothing_while_a_run_is_at_work(
    store: Store, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with hold(root / "study" / "driver.lease"):
        assert main(["cache", "gc", str(root)]) == 73
    assert "runs study" in capsys.readouterr().err
    assert ("prune", STRAY) in set(store.entries())


def alter(path: Path) -> None:
    path.write_bytes(bytes(999) + b"y")


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [alter, make_fifo, Path.unlink])
@pytest.mark.usefixtures("store")
def test_it_says_what_is_broken(
    root: Path, capsys: pytest.CaptureFixture[str], harm: Callable[[Path], None]
) -> None:
    assert main(["cache", "verify", str(root)]) == 0
    path = root / "artifacts" / "prune" / "ff" / STRAY / "x"
    path.chmod(0o644)
    harm(path)
    capsys.readouterr()
    assert main(["cache", "verify", str(root), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["key"] == STRAY


@pytest.mark.parametrize("words", [["ls", "/nowhere"], ["gc", "ROOT", "--max-size", "many"]])
@pytest.mark.usefixtures("store")
def test_a_mistake_is_a_message(root: Path, words: list[str]) -> None:
    assert main(["cache", *[str(root) if word == "ROOT" else word for word in words]]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ls", "--all"], "cache ls has no --all\n  -> cache ls takes --json"),
        (["verify", "--dry-run"], "cache verify has no --dry-run"),
    ],
)
def test_an_option_that_an_action_would_pass_over_is_refused(
    store: Store, root: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    before = set(store.entries())
    action, *options = words
    assert main(["cache", action, str(root), *options]) == 2
    assert said in capsys.readouterr().err
    assert set(store.entries()) == before
