import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdsearch.artifacts.manifest import (
    MANIFEST,
    Checked,
    CorruptError,
    Manifest,
    describe,
    move_into_place,
    read_manifest,
    seal,
    signature,
    verify,
)
from pdsearch.specs import canonical_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"first")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").write_bytes(b"second")
    (tmp_path / MANIFEST).write_bytes(describe("teacher", "k", tmp_path, {"n": 1}).to_bytes())
    return tmp_path


def test_what_is_described_is_read_and_holds(folder: Path) -> None:
    manifest = read_manifest(folder, "teacher", "k")
    assert manifest.meta == {"n": 1}
    assert manifest.files == (
        ("a", 5, hashlib.sha256(b"first").hexdigest()),
        ("sub/b", 6, hashlib.sha256(b"second").hexdigest()),
    )
    verify(folder, manifest)


def test_a_signature_changes_with_a_file(folder: Path) -> None:
    manifest = read_manifest(folder, "teacher", "k")
    before = signature(folder, manifest)
    assert signature(folder, manifest) == before
    (folder / "sub" / "b").write_bytes(b"sEcond")
    assert signature(folder, manifest) != before
    with pytest.raises(CorruptError, match="sub/b is not"):
        verify(folder, manifest)


@pytest.mark.parametrize(("stage", "key"), [("prune", "k"), ("teacher", "other")])
def test_another_entrys_manifest(folder: Path, stage: str, key: str) -> None:
    with pytest.raises(CorruptError, match="another entry's"):
        read_manifest(folder, stage, key)


@pytest.mark.parametrize("name", ["/etc/passwd", "../out", "a/../../out", "a//b", "a\\b", MANIFEST])
def test_names_cannot_leave_the_folder(folder: Path, name: str) -> None:
    (folder / MANIFEST).write_bytes(Manifest("teacher", "k", {}, ((name, 1, "0" * 64),)).to_bytes())
    with pytest.raises(CorruptError, match="illegal file name"):
        read_manifest(folder, "teacher", "k")


def test_a_manifest_without_its_checksum(folder: Path) -> None:
    (folder / MANIFEST).write_text(canonical_json({"format": 1, "stage": "teacher", "key": "k"}))
    with pytest.raises(CorruptError, match="not what was written"):
        read_manifest(folder, "teacher", "k")


KEY = "a" * 64


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    entry = tmp_path / "entry"
    entry.mkdir()
    (entry / "weights").write_bytes(b"payload")
    return entry


@pytest.fixture
def manifest(shelf: Path) -> Manifest:
    return seal("teacher", KEY, shelf, {"epochs": 3})


def another_file(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def longer(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b".")


CHANGES: list[Callable[[Path], None]] = [another_file, longer, Path.unlink]


def test_what_was_checked_is_known_without_being_read(
    shelf: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Checked()
    assert checked.known("teacher", KEY, shelf) is None
    assert checked.check("teacher", KEY, shelf) == manifest
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert checked.known("teacher", KEY, shelf) == manifest


def test_what_was_written_here_is_known(shelf: Path, manifest: Manifest) -> None:
    checked = Checked()
    checked.trust(manifest, shelf)
    assert checked.known("teacher", KEY, shelf) == manifest
    checked.forget("teacher", KEY)
    assert checked.known("teacher", KEY, shelf) is None


@pytest.mark.usefixtures("manifest")
@pytest.mark.parametrize("name", ["weights", "manifest.json"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_looked_into_again(shelf: Path, name: str, change: Callable[[Path], None]) -> None:
    checked = Checked()
    checked.check("teacher", KEY, shelf)
    change(shelf / name)
    assert checked.known("teacher", KEY, shelf) is None


@pytest.mark.usefixtures("manifest")
def test_what_is_not_whole_is_not_known_afterwards(shelf: Path) -> None:
    checked = Checked()
    longer(shelf / "weights")
    with pytest.raises(CorruptError, match="not what was written"):
        checked.check("teacher", KEY, shelf)
    (shelf / "weights").unlink()
    with pytest.raises(CorruptError, match="missing"):
        checked.check("teacher", KEY, shelf)
    assert checked.known("teacher", KEY, shelf) is None


@pytest.mark.usefixtures("manifest")
def test_a_change_while_it_is_hashed_shows_at_the_next_look(
    shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(path: Path) -> str:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        longer(path)
        return found

    checked = Checked()
    monkeypatch.setattr("pdsearch.artifacts.manifest._sha256", meanwhile)
    checked.check("teacher", KEY, shelf)
    assert checked.known("teacher", KEY, shelf) is None


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
