"""A key is built once, whoever asks; a dead builder is replaced; a closed one gives its turn back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from pdsearch.artifacts import Store, building, stage_key
from tests.artifacts.get_or_build import get_or_build
from tests.patient import PATIENCE_S, until

KEY = stage_key("teacher", 1, fields=None, upstream={})

BUILDER = """
import os, sys, time
from pathlib import Path
from pdsearch.artifacts import Store
from tests.artifacts.get_or_build import get_or_build

root, slow = Path(sys.argv[1]), sys.argv[2] == "slow"

def build(folder):
    (root / f"built-{os.getpid()}").touch()
    time.sleep(600 if slow else 0.3)
    (folder / "weights").write_bytes(str(os.getpid()).encode() * 1000)
    return {"pid": os.getpid()}

(root / f"began-{os.getpid()}").touch()
entry, hit = get_or_build(Store(root / "store"), "teacher", sys.argv[3], build)
print(hit, entry.path("weights").read_bytes().decode())
"""


def start(root: Path, pace: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(root), pace, KEY], stdout=subprocess.PIPE, text=True
    )


def answers(builders: list[subprocess.Popen[str]]) -> list[list[str]]:
    return [builder.communicate(timeout=PATIENCE_S)[0].split() for builder in builders]


def test_eight_processes_build_once(tmp_path: Path) -> None:
    found = answers([start(tmp_path, "quick") for _ in range(8)])
    assert len(list(tmp_path.glob("built-*"))) == 1
    assert sorted(hit for hit, _ in found) == ["False"] + ["True"] * 7
    assert len({payload for _, payload in found}) == 1


def test_a_killed_builder_is_replaced(tmp_path: Path) -> None:
    leader = start(tmp_path, "slow")
    while not list(tmp_path.glob("built-*")):
        time.sleep(0.02)
    followers = [start(tmp_path, "quick") for _ in range(3)]
    until(lambda: len(list(tmp_path.glob("began-*"))) == 4)
    time.sleep(0.5)
    assert len(list(tmp_path.glob("built-*"))) == 1
    leader.send_signal(signal.SIGKILL)
    # Not reaped before the others are done: a zombie counts as dead.
    killed = time.monotonic()
    found = answers(followers)
    assert time.monotonic() - killed < 25  # A lease of which nothing is known lasts 30 s.
    leader.communicate()
    assert len(list(tmp_path.glob("built-*"))) == 2
    assert len({payload for _, payload in found}) == 1
    assert sorted(hit for hit, _ in found) == ["False", "True", "True"]


def test_who_gets_the_lease_looks_again_before_building(tmp_path: Path) -> None:
    with building(Store(tmp_path), "teacher", KEY) as late:
        get_or_build(Store(tmp_path), "teacher", KEY, lambda _: {"n": 1})
        assert list(late.wait()) == []
        assert late.entry is not None
        assert late.hit


def stage(store: Store, epochs: int) -> Generator[str, None, None]:
    with building(store, "teacher", KEY) as turn:
        for _ in turn.wait():
            yield "waiting"
        if turn.entry is None:
            for epoch in range(epochs):
                yield f"epoch {epoch}"
            turn.publish(lambda folder: (folder / "x").touch(), {"epochs": epochs})
        yield f"hit {turn.hit} {turn.entry and turn.entry.meta['epochs']}"


def test_a_stage_reports_while_it_builds_and_while_it_waits(tmp_path: Path) -> None:
    first, second = stage(Store(tmp_path), 2), stage(Store(tmp_path), 9)
    assert next(first) == "epoch 0"
    assert [next(second), next(second)] == ["waiting", "waiting"]
    assert list(first) == ["epoch 1", "hit False 2"]
    assert list(second)[-1] == "hit True 2"
    assert list(stage(Store(tmp_path), 9)) == ["hit True 2"]


@pytest.mark.parametrize("stopped_by", ["close", "error"])
def test_a_stopped_stage_gives_its_turn_back(tmp_path: Path, stopped_by: str) -> None:
    first = stage(Store(tmp_path), 5)
    next(first)
    if stopped_by == "close":
        first.close()
    else:
        with pytest.raises(ZeroDivisionError):
            first.throw(ZeroDivisionError())
    assert list(stage(Store(tmp_path), 1)) == ["epoch 0", "hit False 1"]
    assert os.listdir(tmp_path / ".leases") == []
