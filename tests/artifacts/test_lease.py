import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdsearch.artifacts import Lease, hold
from pdsearch.artifacts.leases.file_lease import claim, parse, read, record, remove
from pdsearch.artifacts.leases.owner import is_dead, this_owner
from pdsearch.errors import StorageError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases" / "study.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of whoever waits, which a busy machine cannot lose."""
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


def elsewhere(path: Path) -> None:
    """Make the lease look like one of a process on another machine."""
    value = json.loads(path.read_bytes())
    path.write_text(json.dumps({**value, "host": "another", "uuid": "0" * 32}))


def test_one_holder_at_a_time(path: Path) -> None:
    first, second = Lease(path), Lease(path)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert (first.held, second.held) == (True, False)
    owner = second.owner()
    assert owner is not None
    assert owner.pid == os.getpid()
    first.release()
    assert not first.held
    assert second.try_acquire()
    second.release()
    assert os.listdir(path.parent) == []


def test_a_dead_owner_is_replaced_at_once(path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from pdsearch.artifacts import Lease\n"
        "assert Lease(Path(sys.argv[1])).try_acquire(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.exists()
    start = time.monotonic()
    with hold(path) as lease:
        assert lease.held
    assert time.monotonic() - start < 25  # A lease of which nothing is known lasts 30 s.


def test_a_silent_owner_is_replaced_after_the_window(path: Path, clock: list[float]) -> None:
    gone = Lease(path, beat_s=1000)
    assert gone.try_acquire()
    elsewhere(path)
    heir = Lease(path, window_s=0.2)
    assert not heir.try_acquire()
    clock[0] += 0.1
    assert not heir.try_acquire()
    clock[0] += 0.15
    assert heir.try_acquire()
    heir.release()
    gone.release()


def test_a_beating_owner_is_never_replaced(path: Path, clock: list[float]) -> None:
    owner, contender = Lease(path, beat_s=0.02), Lease(path, window_s=0.3)
    assert owner.try_acquire()
    for _ in range(5):
        assert not contender.try_acquire()
        while not contender.moved():
            time.sleep(0.01)  # the next beat comes when the machine lets it
        clock[0] += 0.2
    owner.release()


def test_an_owner_that_wakes_up_leaves_its_successor_alone(path: Path) -> None:
    slow = Lease(path, beat_s=0.02)
    assert slow.try_acquire()
    path.unlink()
    heir = Lease(path)
    assert heir.try_acquire()
    written = path.read_bytes()
    time.sleep(0.1)
    assert path.read_bytes() == written
    assert (slow.held, heir.held) == (False, True)
    slow.release()
    assert heir.held
    heir.release()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": 1}'])
def test_an_unreadable_lease_counts_as_held_until_the_window_ends(
    path: Path, content: bytes, clock: list[float]
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    lease = Lease(path, window_s=0.05)
    assert not lease.try_acquire()
    clock[0] += 0.1
    assert lease.try_acquire()
    lease.release()


def test_a_forked_child_does_not_hold_or_release(path: Path) -> None:
    lease = Lease(path)
    assert lease.try_acquire()
    lease._pid += 1
    assert not lease.held
    lease.release()
    assert path.exists()


def test_a_process_number_used_again_is_another_process() -> None:
    me = this_owner()
    assert not is_dead(me)
    assert is_dead(type(me)(me.host, me.machine, me.pid, "1"))
    assert not is_dead(type(me)("another", me.machine, me.pid, "1"))


def test_leases_work_without_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object, __: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    first, second = Lease(path), Lease(path)
    assert first.try_acquire()
    assert not second.try_acquire()
    assert first.held
    first.release()
    assert second.try_acquire()
    second.release()


def test_a_refusal_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        Lease(tmp_path / "file" / "lease.json").try_acquire()


def test_a_record_comes_back() -> None:
    owner = this_owner()
    assert parse(record(owner, 7)) == owner
    assert len(record(owner, 0)) == len(record(owner, 10**9))


def test_a_taken_path_is_not_claimed(tmp_path: Path) -> None:
    path, first, second = tmp_path / "lease", record(this_owner(), 0), record(this_owner(), 0)
    descriptor = claim(path, first)
    assert descriptor is not None
    assert claim(path, second) is None
    assert read(path) == os.pread(descriptor, 4096, 0) == first
    assert os.listdir(tmp_path) == ["lease"]
    os.close(descriptor)


def test_only_the_judged_owner_is_removed(tmp_path: Path) -> None:
    path, dead, heir = tmp_path / "lease", record(this_owner(), 3), record(this_owner(), 0)
    path.write_bytes(heir)
    remove(path, dead)
    assert read(path) == heir
    remove(path, heir)
    assert read(path) == b""
    remove(path, heir)
    assert os.listdir(tmp_path) == []


def test_an_empty_file_is_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "lease").touch()
    assert read(tmp_path / "lease") != read(tmp_path / "none") == b""
    assert parse(read(tmp_path / "lease")) is None
