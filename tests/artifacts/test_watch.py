"""An owner is gone when its process here has ended, or when it has stood still for the window; never before."""

import json
import time

import pytest

from pdsearch.artifacts.leases.file_lease import Watch, record
from pdsearch.artifacts.leases.owner import Owner, this_owner

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
