"""An entry is hashed once, and again as soon as one of its files has changed."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pdsearch.artifacts.manifest import Checked, CorruptError, Manifest, seal

KEY = "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    entry = tmp_path / "entry"
    entry.mkdir()
    (entry / "weights").write_bytes(b"payload")
    return entry


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return seal("teacher", KEY, folder, {"epochs": 3})


def another_file(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def longer(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b".")


CHANGES: list[Callable[[Path], None]] = [another_file, longer, Path.unlink]


def test_what_was_checked_is_known_without_being_read(
    folder: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Checked()
    assert checked.known("teacher", KEY, folder) is None
    assert checked.check("teacher", KEY, folder) == manifest
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert checked.known("teacher", KEY, folder) == manifest


def test_what_was_written_here_is_known(folder: Path, manifest: Manifest) -> None:
    checked = Checked()
    checked.trust(manifest, folder)
    assert checked.known("teacher", KEY, folder) == manifest
    checked.forget("teacher", KEY)
    assert checked.known("teacher", KEY, folder) is None


@pytest.mark.usefixtures("manifest")
@pytest.mark.parametrize("name", ["weights", "manifest.json"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_looked_into_again(folder: Path, name: str, change: Callable[[Path], None]) -> None:
    checked = Checked()
    checked.check("teacher", KEY, folder)
    change(folder / name)
    assert checked.known("teacher", KEY, folder) is None


@pytest.mark.usefixtures("manifest")
def test_what_is_not_whole_is_not_known_afterwards(folder: Path) -> None:
    checked = Checked()
    longer(folder / "weights")
    with pytest.raises(CorruptError, match="not what was written"):
        checked.check("teacher", KEY, folder)
    (folder / "weights").unlink()
    with pytest.raises(CorruptError, match="missing"):
        checked.check("teacher", KEY, folder)
    assert checked.known("teacher", KEY, folder) is None


@pytest.mark.usefixtures("manifest")
def test_a_change_while_it_is_hashed_shows_at_the_next_look(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(path: Path) -> str:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        longer(path)
        return found

    checked = Checked()
    monkeypatch.setattr("pdsearch.artifacts.manifest._sha256", meanwhile)
    checked.check("teacher", KEY, folder)
    assert checked.known("teacher", KEY, folder) is None
