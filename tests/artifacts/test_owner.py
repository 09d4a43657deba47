"""An owner is dead when its process has ended here, and never declared dead from elsewhere."""

import dataclasses
import os
import subprocess
import sys

import pytest

from pdsearch.artifacts.leases.owner import is_dead, this_owner


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
