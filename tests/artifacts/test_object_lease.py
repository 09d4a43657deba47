"""A lease on S3 is best effort: of two that write, the last goes on, and the other one learns of it."""

import os
import time

import pytest

from pdsearch.artifacts import ObjectLease
from pdsearch.artifacts.leases.file_lease import parse, record
from pdsearch.artifacts.leases.object_lease import discard_object_if_dead
from pdsearch.artifacts.leases.owner import Owner, this_owner
from pdsearch.io import Remote, place, read, replace
from pdsearch.io.objects import Objects
from tests.patient import until
from tests.s3_server import S3Server

ELSEWHERE = Owner("elsewhere", "another machine", 1, "1")


@pytest.fixture
def where(s3: S3Server, bucket: str) -> Remote:
    found = place(s3.url(f"{bucket}/leases/x.json"))
    assert isinstance(found, Remote)
    return found


def test_a_beating_owner_is_alive(where: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [100.0]  # The time of whoever waits, which a busy machine cannot lose.
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    ours, other = ObjectLease(where, beat_s=0.05), ObjectLease(where, window_s=1.5)
    assert ours.try_acquire()
    for _ in range(3):
        assert not other.try_acquire()
        while not other.moved():
            time.sleep(0.02)  # The next beat comes when the machine lets it.
        moment[0] += 1.0
    ours.release()
    assert other.try_acquire()
    other.release()
    assert read(where) is None


def test_who_is_written_over_learns_of_it_and_leaves_its_successor_alone(where: Remote) -> None:
    ours = ObjectLease(where, beat_s=0.05)
    assert ours.try_acquire()
    replace(where, record(ELSEWHERE, 0))
    until(lambda: not ours.held)
    ours.release()
    assert parse(read(where) or b"") == ELSEWHERE


def test_who_is_written_over_while_it_reads_back_does_not_get_it(
    where: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Objects.put

    def overtaken(self: Objects, path: str, content: bytes) -> None:
        put(self, path, content)
        put(self, path, record(ELSEWHERE, 0))

    monkeypatch.setattr(Objects, "put", overtaken)
    lease = ObjectLease(where)
    assert not lease.try_acquire()
    assert not lease.held
    assert lease.owner() == ELSEWHERE


def test_a_forked_child_does_not_hold_it(where: Remote) -> None:
    lease = ObjectLease(where)
    assert lease.try_acquire()
    child = os.fork()
    if child == 0:
        os._exit(1 if lease.held else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lease.held
    lease.release()


def test_only_a_dead_owners_lease_is_discarded(where: Remote) -> None:
    assert not discard_object_if_dead(where)
    for owner in (ELSEWHERE, this_owner()):
        replace(where, record(owner, 0))
        assert not discard_object_if_dead(where)
    here = this_owner()
    replace(where, record(Owner(here.host, here.machine, here.pid, "1"), 0))
    assert discard_object_if_dead(where)
    assert read(where) is None
