import hashlib
import os
from pathlib import Path

import pytest

from pdsearch.artifacts.manifest import (
    MANIFEST,
    Checked,
    CorruptError,
    Manifest,
    check_files,
    make_manifest,
    move_into_place,
    read_manifest,
    seal,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"second")
    (tmp_path / MANIFEST).write_bytes(make_manifest("teacher", "k", tmp_path, {"n": 1}).to_bytes())
    return tmp_path


def test_what_is_described_is_read_and_holds(folder: Path) -> None:
    manifest = read_manifest(folder, "teacher", "k")
    assert manifest.meta == {"n": 1}
    assert manifest.files == (
        ("a", 5, hashlib.sha256(b"first").hexdigest()),
        ("sub/b", 6, hashlib.sha256(b"second").hexdigest()),
    )
    check_files(folder, manifest)


@pytest.mark.parametrize("name", ["/etc/passwd", "../out", "a/../../out", "a//b", "a\\b", MANIFEST])
def test_names_cannot_leave_the_folder(folder: Path, name: str) -> None:
    (folder / MANIFEST).write_bytes(Manifest("teacher", "k", {}, ((name, 1, "0" * 64),)).to_bytes())
    with pytest.raises(CorruptError, match="illegal file name"):
        read_manifest(folder, "teacher", "k")


def test_a_change_while_it_is_hashed_shows_at_the_next_look(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(path: Path) -> str:
        content = path.read_bytes()
        path.write_bytes(content + b".")
        return hashlib.sha256(content).hexdigest()

    checked = Checked()
    monkeypatch.setattr("pdsearch.artifacts.manifest._sha256", meanwhile)
    checked.check("teacher", "k", folder)
    assert checked.known("teacher", "k", folder) is None


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
    check_files(draft, manifest)


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
