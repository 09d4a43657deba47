"""Leases: who holds one, how long, and what becomes of one whose owner died."""

import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdsearch.artifacts import Lease, check_lease_held, hold, lease_at
from pdsearch.artifacts.file_lease import Watch, discard_if_dead, read_lease, record, remove_lease
from pdsearch.artifacts.owner import Owner, draft_name, is_dead, is_orphan, this_owner
from pdsearch.errors import StorageError, StudyHeldError
from pdsearch.io import Place, place, replace
from pdsearch.io import read as read_file
from tests.patient import until


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


def test_a_lease_is_never_seen_empty(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        assert read_lease(path) == b"", "an owner that is killed now leaves nothing behind"
        raise OSError("no space")

    monkeypatch.setattr(os, "pwrite", killed)
    with pytest.raises(StorageError):
        Lease(path).try_acquire()
    assert [*path.parent.iterdir()] == []


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


def test_only_the_judged_owner_is_removed(tmp_path: Path) -> None:
    path, dead, heir = tmp_path / "lease", record(this_owner(), 3), record(this_owner(), 0)
    path.write_bytes(heir)
    remove_lease(path, dead)
    assert read_lease(path) == heir
    remove_lease(path, heir)
    assert read_lease(path) == b""
    remove_lease(path, heir)
    assert os.listdir(tmp_path) == []


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


def test_time_in_which_nothing_could_be_seen_does_not_count(clock: list[float]) -> None:
    watch = Watch(30.0)
    assert not watch.gone(record(ELSEWHERE, 1))
    clock[0] += 60
    watch.forget()
    assert not watch.gone(record(ELSEWHERE, 1))


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


def test_a_lease_is_discarded_only_when_its_owner_has_ended(tmp_path: Path) -> None:
    left_by(tmp_path / "dead.json", lease=True)
    living = Lease(tmp_path / "living.json")
    assert living.try_acquire()
    assert discard_if_dead(tmp_path / "dead.json")
    assert not discard_if_dead(tmp_path / "living.json")
    assert not discard_if_dead(tmp_path / "none.json")
    living.release()


@pytest.fixture(params=["folder", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "folder":
        return tmp_path / "study" / "driver.lease"
    monkeypatch.setattr("pdsearch.artifacts.object_lease._SETTLE_S", 0.01)
    bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return place(server.url(f"{bucket}/study/driver.lease"))


def test_a_beating_owner_is_never_replaced(where: Place, clock: list[float]) -> None:
    owner, contender = lease_at(where, beat_s=0.05), lease_at(where, window_s=1.5)
    assert owner.try_acquire()
    for _ in range(3):
        assert not contender.try_acquire()
        while not contender.moved():
            time.sleep(0.02)  # The next beat comes when the machine lets it.
        clock[0] += 1.0
    owner.release()
    assert contender.try_acquire()
    contender.release()
    assert read_file(where) is None


def test_a_forked_child_does_not_hold_or_release(where: Place) -> None:
    lease = lease_at(where)
    assert lease.try_acquire()
    child = os.fork()
    if child == 0:
        held = lease.held
        lease.release()
        os._exit(held)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert lease.held
    lease.release()


def test_a_second_driver_is_told_who_the_first_is(where: Place) -> None:
    held = pytest.raises(StudyHeldError, match=f"process {os.getpid()}")
    with hold(where, beat_s=0.05) as lease, held as caught, hold(where, poll_s=0.02):
        pytest.fail("two holders")
    assert caught.value.exit_code == 73
    assert not lease.held
    assert read_file(where) is None


@pytest.mark.parametrize("alive", [False, True])
def test_a_driver_that_died_here_is_replaced_at_once_and_a_silent_one_elsewhere_after_its_window(
    where: Place, alive: bool
) -> None:
    owner = dataclasses.asdict(this_owner())
    owner |= {"host": "elsewhere"} if alive else {"born": "1"}
    replace(where, json.dumps({**owner, "counter": "0"}).encode())
    with hold(where, window_s=0.3 if alive else 60, poll_s=0.05) as lease:
        assert lease.held
        found = lease_at(where).owner()
        assert found is not None
        assert found.born == this_owner().born


def test_a_driver_that_another_one_has_written_over_stops(where: Place) -> None:
    with hold(where, beat_s=0.05) as lease:
        check_lease_held(lease, where)
        replace(
            where,
            json.dumps({**dataclasses.asdict(this_owner()), "host": "elsewhere", "counter": "0"}).encode(),
        )
        until(lambda: not lease.held)
        with pytest.raises(StudyHeldError, match="took the study over"):
            check_lease_held(lease, where)
    assert read_file(where) is not None
