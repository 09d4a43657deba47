"""Drafts in progress are left alone, and abandoned ones are removed."""

import multiprocessing
import os
from pathlib import Path

import pytest

from pdsearch.artifacts.leases.owner import draft_name
from pdsearch.artifacts.local_store import Workshop

FORK = multiprocessing.get_context("fork")
KEY = "a" * 64
DAY = 86_400.0


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def _cut_off(workshop: Workshop) -> None:
    workshop.lease("teacher", KEY).try_acquire()
    (workshop.leases / f".{draft_name()}").write_text("half")
    (workshop.drafts / draft_name()).mkdir(parents=True)
    os._exit(0)


@pytest.fixture
def left(workshop: Workshop) -> Workshop:
    """A workshop in which a process has ended that held a lease and wrote two things."""
    process = FORK.Process(target=_cut_off, args=(workshop,))
    process.start()
    process.join()
    return workshop


def test_a_draft_is_gone_afterwards_whatever_was_left_in_it(workshop: Workshop) -> None:
    with workshop.draft() as draft:
        (draft / "half").write_text("written")
        assert workshop.leftovers(DAY) == []
    assert list(workshop.drafts.iterdir()) == []


def test_a_draft_that_was_moved_away_is_no_leftover(workshop: Workshop) -> None:
    with workshop.draft() as draft:
        draft.rename(workshop.root / "entry")
    assert (workshop.root / "entry").is_dir()
    assert list(workshop.drafts.iterdir()) == []


def test_what_somebody_holds_is_being_built(workshop: Workshop) -> None:
    lease = workshop.lease("teacher-outputs", KEY)
    assert workshop.building() == set()
    assert lease.try_acquire()
    assert workshop.building() == {("teacher-outputs", KEY)}
    assert workshop.sweep(DAY) == 0
    lease.release()
    assert workshop.building() == set()


def test_what_ended_processes_left_is_named_and_swept(left: Workshop) -> None:
    assert left.building() == set()
    assert len(left.leftovers(DAY)) == 2
    assert left.sweep(DAY) == 3
    assert [*left.leases.iterdir(), *left.drafts.iterdir()] == []


def test_of_drafts_from_elsewhere_only_old_ones_are_swept(workshop: Workshop) -> None:
    for name in ("old", "new"):
        (workshop.drafts / name).mkdir(parents=True)
    os.utime(workshop.drafts / "old", (0, 0))
    assert workshop.sweep(DAY) == 1
    assert [item.name for item in workshop.drafts.iterdir()] == ["new"]


def test_nothing_is_left_where_nothing_was_made(workshop: Workshop) -> None:
    assert (workshop.leftovers(DAY), workshop.sweep(DAY)) == ([], 0)
    assert list(workshop.root.iterdir()) == []
