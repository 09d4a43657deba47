"""What is downloaded is checked before it has its name; nothing else is ever left behind."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pdsearch.data.readers.download import PublishedFile, fetched
from pdsearch.errors import DataError

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
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    lines: list[str] = []
    folder = tmp_path / "new" / "folder"
    path = fetched(remote(server, "a.bin"), folder, download=True, say=lines.append)
    assert path == folder / "a.bin"
    assert path.read_bytes() == CONTENT
    assert lines[0].startswith("downloading http://127.0.0.1")
    assert lines[0].endswith(f"(3.1 MB) to {folder}")
    assert lines[1:] == ["a.bin: 34 % of 3.1 MB", "a.bin: 68 % of 3.1 MB", "a.bin: 100 % of 3.1 MB"]
    assert [item.name for item in folder.iterdir()] == ["a.bin"]


def test_lines_go_to_stderr(
    server: ThreadingHTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched(remote(server, "a.bin"), tmp_path, download=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("downloading ")


def test_what_is_there_is_not_downloaded(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"mine")
    assert fetched(remote(server, "a.bin"), tmp_path, download=True).read_bytes() == b"mine"
    assert server.asked == []  # type: ignore[attr-defined]


def test_a_size_that_is_not_told_is_no_trouble(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    lines: list[str] = []
    assert fetched(remote(server, "endless"), tmp_path, download=True, say=lines.append).is_file()
    assert len(lines) == 1


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
        fetched(remote(server, name, sha256), tmp_path, download=True, say=lambda _: None)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_nobody_at_the_other_end(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="check the network"):
        fetched(remote(server, "a.bin"), tmp_path, download=True, say=lambda _: None)


def test_it_may_be_forbidden(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave out download: false"):
        fetched(remote(server, "a.bin"), tmp_path, download=False)
    assert server.asked == []  # type: ignore[attr-defined]
