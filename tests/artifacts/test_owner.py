import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdsearch.artifacts import Lease
from pdsearch.artifacts.leases.file_lease import Watch, discard_if_dead, record
from pdsearch.artifacts.leases.owner import Owner, draft_name, is_dead, is_orphan, this_owner


def test_every_holding_is_another_owner() -> None:
    assert this_owner() != this_owner()
    assert this_owner().pid == os.getpid()
    assert str(os.getpid()) in str(this_owner())


def test_a_process_that_ended_is_dead_before_and_after_it_is_reaped() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with open(f"/proc/{child.pid}/stat", encoding="utf-8") as file:
        born = file.read().rpartition(")")[2].split()[19]
    owner = dataclasses.replace(this_owner(), pid=child.pid, born=born)
    assert not is_dead(owner)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(owner)
    child.communicate()
    assert is_dead(owner)


@pytest.mark.parametrize("change", [{"host": "another"}, {"machine": "another"}, {"machine": ""}])
def test_other_machines_are_not_judged(change: dict[str, str]) -> None:
    owner = dataclasses.replace(this_owner(), born="1")
    assert is_dead(owner)
    assert not is_dead(dataclasses.replace(owner, **change))  # type: ignore[arg-type]


ELSEWHERE = Owner("elsewhere", "another machine", 1, "1")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


def test_an_owner_elsewhere_is_gone_after_the_window(clock: list[float]) -> None:
    watch = Watch(30.0)
    assert not watch.gone(record(ELSEWHERE, 1))
    clock[0] += 29
    assert not watch.gone(record(ELSEWHERE, 1))
    assert not watch.moved(record(ELSEWHERE, 1))
    assert watch.moved(record(ELSEWHERE, 2))
    assert not watch.gone(record(ELSEWHERE, 2))
    clock[0] += 30
    assert watch.gone(record(ELSEWHERE, 2))


def test_time_in_which_nothing_could_be_seen_does_not_count(clock: list[float]) -> None:
    watch = Watch(30.0)
    assert not watch.gone(record(ELSEWHERE, 1))
    clock[0] += 60
    watch.forget()
    assert not watch.gone(record(ELSEWHERE, 1))


def test_an_owner_here_is_gone_with_its_process() -> None:
    assert not Watch(30.0).gone(record(this_owner(), 1))
    dead = {**this_owner().to_json(), "born": "1", "counter": "0"}
    assert Watch(30.0).gone(json.dumps(dead).encode())


FORK = multiprocessing.get_context("fork")


def _in_a_process_that_ends(path: Path, lease: bool) -> None:
    if lease:
        Lease(path).try_acquire()
    else:
        path.write_text(draft_name())
    os._exit(0)


def left_by(path: Path, *, lease: bool = False) -> None:
    process = FORK.Process(target=_in_a_process_that_ends, args=(path, lease))
    process.start()
    process.join()


def test_a_draft_is_an_orphan_when_its_writer_has_ended(tmp_path: Path) -> None:
    left_by(tmp_path / "name")
    assert is_orphan((tmp_path / "name").read_text())
    assert is_orphan("." + (tmp_path / "name").read_text())
    assert not is_orphan(draft_name())


@pytest.mark.parametrize("name", ["", "readme", f"{'0' * 12}-1-1-{'a' * 32}"])
def test_a_name_that_says_nothing_of_here_is_no_orphan(name: str) -> None:
    assert not is_orphan(name)


def test_names_are_never_used_twice() -> None:
    assert len({draft_name() for _ in range(100)}) == 100


def test_a_lease_is_discarded_only_when_its_owner_has_ended(tmp_path: Path) -> None:
    left_by(tmp_path / "dead.json", lease=True)
    living = Lease(tmp_path / "living.json")
    assert living.try_acquire()
    assert discard_if_dead(tmp_path / "dead.json")
    assert not discard_if_dead(tmp_path / "living.json")
    assert not discard_if_dead(tmp_path / "none.json")
    living.release()
