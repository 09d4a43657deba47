"""A sealed folder is whole, synced and write-protected, and takes an empty place only."""

import os
from pathlib import Path

import pytest

from pdsearch.artifacts.manifest import move_into_place, read_manifest, seal, verify


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    folder = tmp_path / "draft"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b").write_text("payload")
    return folder


def test_everything_is_on_the_disk_before_it_is_published(
    draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    manifest = seal("teacher", "k", draft, {})
    assert {path.stat().st_ino for path in [draft, *draft.rglob("*")]} <= set(synced)
    assert read_manifest(draft, "teacher", "k") == manifest
    verify(draft, manifest)


def test_files_are_write_protected(draft: Path) -> None:
    seal("teacher", "k", draft, {})
    assert all(path.stat().st_mode & 0o222 == 0 for path in draft.rglob("*") if path.is_file())


def test_a_taken_place_stays_as_it_is(draft: Path, tmp_path: Path) -> None:
    target = tmp_path / "teacher" / "ab" / "key"
    target.mkdir(parents=True)
    (target / "other").touch()
    assert not move_into_place(draft, target)
    assert draft.exists()
    (target / "other").unlink()
    target.rmdir()
    assert move_into_place(draft, target)
    assert (target / "sub" / "b").read_text() == "payload"


def test_the_way_to_the_place_is_made(draft: Path, tmp_path: Path) -> None:
    assert move_into_place(draft, tmp_path / "new" / "stage" / "ab" / "key")
