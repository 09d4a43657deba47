"""A manifest tells every change of an entry, and is itself told from every other text."""

import hashlib
from pathlib import Path

import pytest

from pdsearch.artifacts.manifest import (
    MANIFEST,
    CorruptError,
    Manifest,
    describe,
    read_manifest,
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
