import multiprocessing
import os
from pathlib import Path

import pytest

from pdsearch.artifacts import Lease
from pdsearch.artifacts.leases.file_lease import discard_if_dead
from pdsearch.artifacts.leases.owner import draft_name, is_orphan

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
