"""Files of data sets: fetched, unpacked, and checked."""

import hashlib
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pdsearch.data.readers.arrays import checked
from pdsearch.data.readers.download import PublishedFile, fetched, members
from pdsearch.data.registry import RawData
from pdsearch.errors import DataError
from tests.data.layouts import pixels, tar

CONTENT = bytes(range(256)) * 12_000  # 3 MB, three blocks.
RIGHT = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.endswith("missing"):
            self.send_error(404)
            return
        self.send_response(200)
        if not self.path.endswith("endless"):
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path.endswith("cut") else CONTENT)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=partial(found.serve_forever, poll_interval=0.01))
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def remote(server: ThreadingHTTPServer, name: str, sha256: str = RIGHT) -> PublishedFile:
    return PublishedFile(f"http://127.0.0.1:{server.server_address[1]}/sets/{name}", sha256)


def test_a_missing_file_is_downloaded_with_lines_on_the_way(
    server: ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    path = fetched(remote(server, "a.bin"), folder, download=True)
    assert path == folder / "a.bin"
    assert path.read_bytes() == CONTENT
    out, err = capsys.readouterr()
    first, *lines = err.splitlines()
    assert out == ""
    assert first.startswith("downloading http://127.0.0.1")
    assert first.endswith(f"(3.1 MB) to {folder}")
    assert lines == ["a.bin: 34 % of 3.1 MB", "a.bin: 68 % of 3.1 MB", "a.bin: 100 % of 3.1 MB"]
    assert [item.name for item in folder.iterdir()] == ["a.bin"]


def test_what_is_there_is_not_downloaded(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    assert fetched(remote(server, "a.bin"), tmp_path, download=True).read_bytes() == b"mine"
    assert server.asked == []  # type: ignore[attr-defined]


def test_a_size_that_is_not_told_is_no_trouble(
    server: ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetched(remote(server, "endless"), tmp_path, download=True).is_file()
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "sha256", "why"),
    [
        ("missing", RIGHT, "404"),
        ("cut", RIGHT, "the download failed"),
        ("a.bin", "0" * 64, f"is {RIGHT}, not 0000"),
    ],
)
def test_what_is_not_what_was_published_leaves_nothing(
    server: ThreadingHTTPServer, tmp_path: Path, name: str, sha256: str, why: str
) -> None:
    with pytest.raises(DataError, match=why) as caught:
        fetched(remote(server, name, sha256), tmp_path, download=True)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_nobody_at_the_other_end(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="check the network"):
        fetched(remote(server, "a.bin"), tmp_path, download=True)


def test_it_may_be_forbidden(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave out download: false"):
        fetched(remote(server, "a.bin"), tmp_path, download=False)
    assert server.asked == []  # type: ignore[attr-defined]


ARCHIVE = PublishedFile("http://127.0.0.1:9/set.tar.gz", "0" * 64)


def read(root: Path, *names: str) -> dict[str, bytes]:
    return members(ARCHIVE, root, "set", names, download=False)


def test_packed_and_unpacked_are_the_same(tmp_path: Path) -> None:
    tar(tmp_path / "packed" / "set.tar.gz", {"./set/a": b"1", "set/b": b"2", "other/a": b"3"})
    (tmp_path / "unpacked" / "set").mkdir(parents=True)
    for name, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / "unpacked" / "set" / name).write_bytes(content)
    assert (
        read(tmp_path / "packed", "a", "b") == read(tmp_path / "unpacked", "a", "b") == {"a": b"1", "b": b"2"}
    )
    assert [item.name for item in (tmp_path / "packed").iterdir()] == ["set.tar.gz"]


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


LABELS = np.array([0, 1, 1], dtype=np.int64)
CHECKED = RawData(pixels(3, 1, 8), LABELS, pixels(3, 1, 8), LABELS, ("a", "b"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"train_images": pixels(3, 1, 8)[0]},
            r"here: train: images of shape \(1, 8, 8\); other inputs are float32",
        ),
        (
            {"test_images": pixels(3, 1, 8)[..., :4]},
            r"training and test inputs differ: uint8 \(1, 8, 8\) and",
        ),
        ({"train_images": pixels(3, 1, 8)[:0], "train_labels": LABELS[:0]}, r"train: inputs of shape \(0"),
        ({"test_images": pixels(3, 1, 8)[:0]}, r"test: inputs of shape \(0"),
        ({"train_images": pixels(3, 1, 8) / 255}, "inputs of type float64"),
        ({"train_labels": LABELS[:2]}, r"3 images and labels of shape \(2,\)"),
        ({"train_labels": LABELS.astype(np.int32)}, "labels of type int32"),
        ({"train_labels": LABELS - 1}, "labels from -1 to 0 of 2 classes"),
        ({"classes": ("a",)}, "labels from 0 to 1 of 1 classes"),
        ({"test_images": pixels(3, 3, 8)}, "training and test inputs differ"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], why: str) -> None:
    with pytest.raises(DataError, match=why):
        checked(replace(CHECKED, **change), "here")
