"""Refusals of the operating system become errors a person can act on; written files are new and whole."""

import errno
import os
from pathlib import Path

import pytest

from pdsearch.errors import DataError, StorageError, StorageFullError
from pdsearch.io.durable import storage_errors, sync_folder, write_new, write_whole


def _refused(number: int, filename: str | None = None) -> StorageError:
    with pytest.raises(StorageError) as caught, storage_errors("place"):
        raise OSError(number, os.strerror(number), filename)
    return caught.value


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space(number: int) -> None:
    error = _refused(number)
    assert isinstance(error, StorageFullError)
    assert error.exit_code == 75


def test_other_refusals_name_the_file_or_the_place() -> None:
    assert _refused(errno.EIO, "file").where == "file"
    assert _refused(errno.EIO).where == "place"
    assert "writable" in str(_refused(errno.EROFS))
    assert "move it away" in str(_refused(errno.ENOTDIR))
    assert "shorter" in str(_refused(errno.ENAMETOOLONG))
    assert not isinstance(_refused(errno.EIO), StorageFullError)


@pytest.mark.parametrize(
    "words", ["No space left on device", "I/O error: x (os error 28)", "Disk quota exceeded"]
)
def test_no_space_in_a_librarys_words(words: str) -> None:
    with pytest.raises(StorageFullError), storage_errors("place"):
        raise RuntimeError(words)


def test_another_refusal_in_a_librarys_words() -> None:
    with pytest.raises(StorageError, match=os.strerror(errno.EIO)) as caught, storage_errors("place"):
        raise RuntimeError("Error while serializing: I/O error: x (os error 5)")
    assert not isinstance(caught.value, StorageFullError)


@pytest.mark.parametrize("error", [ValueError("os error 2"), DataError("no space left on device")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, storage_errors("place"):
        raise error
    assert caught.value is error


def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    write_new(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_only_mounts_that_cannot_sync_a_folder_are_excused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, passes: bool
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if passes:
        sync_folder(tmp_path)
        return
    with pytest.raises(OSError, match=os.strerror(number)):
        sync_folder(tmp_path)


def test_a_file_of_the_user_s_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    write_whole(link, "before")
    assert (link.is_symlink(), real.read_text()) == (True, "before")

    def half(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(StorageFullError):
            write_whole(link, "after it")
    assert real.read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link"}
    reading, writing = os.pipe()
    write_whole(Path(f"/proc/self/fd/{writing}"), "as /dev/stdout")
    assert os.read(reading, 20) == b"as /dev/stdout"
    os.close(reading)
    os.close(writing)
