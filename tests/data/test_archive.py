"""Files are read from an archive or from where it was unpacked, and nothing is written."""

import tarfile
from pathlib import Path

import pytest

from pdsearch.data.readers.archive import members
from pdsearch.data.readers.download import PublishedFile
from pdsearch.errors import DataError
from tests.data.layouts import tar

ARCHIVE = PublishedFile("http://127.0.0.1:9/set.tar.gz", "0" * 64)


def read(root: Path, *names: str) -> dict[str, bytes]:
    return members(ARCHIVE, root, "set", names, download=False)


def test_packed_and_unpacked_are_the_same(tmp_path: Path) -> None:
    tar(tmp_path / "packed" / "set.tar.gz", {"set/a": b"1", "set/b": b"2", "other/a": b"3"})
    (tmp_path / "unpacked" / "set").mkdir(parents=True)
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / "unpacked" / "set" / name).write_bytes(content)
    assert (
        read(tmp_path / "packed", "a", "b") == read(tmp_path / "unpacked", "a", "b") == {"a": b"1", "b": b"2"}
    )
    assert [item.name for item in (tmp_path / "packed").iterdir()] == ["set.tar.gz"]


def test_paths_may_begin_with_a_dot(tmp_path: Path) -> None:
    tar(tmp_path / "set.tar.gz", {"./set/a": b"1"})
    assert read(tmp_path, "a") == {"a": b"1"}


def test_a_file_that_is_lacking_is_named(tmp_path: Path) -> None:
    tar(tmp_path / "set.tar.gz", {"set/a": b"1"})
    with pytest.raises(DataError, match="lacks b, c in set"):
        read(tmp_path, "a", "b", "c")
    (tmp_path / "set.tar.gz").unlink()
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="set/b: cannot be read"):
        read(tmp_path, "b")


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_a_broken_archive_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "set.tar.gz"
    tar(path, {"set/a": bytes(range(256)) * 40})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"set\.tar\.gz: no readable archive"):
        read(tmp_path, "a")


def test_a_link_is_no_file(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("set/a")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(DataError, match="lacks a"):
        read(tmp_path, "a")
