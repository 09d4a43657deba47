"""Objects on a real server: whole, listed, copied; waited for in a pause; told at once what waiting cannot mend."""

import hashlib
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError, StorageFullError
from pdsearch.io import StorageAwayError, StorageDeniedError, place
from pdsearch.io.objects import Objects, objects_at
from pdsearch.io.place import Remote
from tests.s3_server import S3Server


@pytest.fixture
def objects(s3: S3Server, bucket: str) -> Objects:
    return Objects(f"s3://{bucket}", s3.query)


def test_an_object_is_whole_or_not_there(objects: Objects, tmp_path: Path) -> None:
    assert (objects.get("a/b"), objects.size("a/b"), objects.checksum("a/b")) == (None, None, None)
    assert not objects.download("a/b", tmp_path / "x")
    assert not objects.delete("a/b")
    objects.put("a/b", b"first")
    objects.put("a/b", b"second")
    assert (objects.get("a/b"), objects.size("a/b")) == (b"second", 6)
    assert objects.size("a") is None
    objects.copy("a/b", "c")
    assert objects.delete("a/b")
    assert (objects.get("a/b"), objects.get("c")) == (None, b"second")


def test_a_file_of_several_parts_comes_back_the_same(objects: Objects, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(os.urandom(2**20) * 17)
    objects.upload("large", there)
    assert objects.download("large", back)
    assert back.read_bytes() == there.read_bytes()
    with there.open("rb") as file:
        assert objects.checksum("large") == hashlib.file_digest(file, "sha256").hexdigest()


def test_what_lies_below_is_listed(objects: Objects) -> None:
    assert objects.below("x") == objects.below("", deep=True) == []
    for name in ("x/1", "x/2/3", "xy"):
        objects.put(name, name.encode())
    assert [(item.path, item.size) for item in objects.below("x")] == [("x/1", 3), ("x/2", None)]
    assert [item.path for item in objects.below("", deep=True)] == ["x/1", "x/2/3", "xy"]
    assert dict(objects.get_all(["x/1", "xy", "none"])) == {"x/1": b"x/1", "xy": b"xy", "none": None}
    assert objects.delete_below("x")
    assert not objects.delete_below("nowhere")
    assert [item.path for item in objects.below("", deep=True)] == ["xy"]


@pytest.mark.usefixtures("bucket")  # for its credentials
def test_a_server_that_pauses_is_waited_for() -> None:
    with S3Server() as server:
        server.make_bucket("bkt")
        objects = Objects("s3://bkt", server.query)
        objects.put("x", b"kept")
        with server.paused():
            timer = threading.Timer(1.5, server.go_on)
            began = time.monotonic()
            timer.start()
            assert objects.get("x") == b"kept"
            assert time.monotonic() - began > 1
            timer.join()


def test_a_server_whose_port_was_taken_meanwhile_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken, socket.socket() as free:
        for found in (taken, free):
            found.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1], free.getsockname()[1]]
        free.close()
        monkeypatch.setattr("tests.s3_server._free_port", iter(ports).__next__)
        with S3Server() as server:
            assert server.port == ports[1]


def test_a_server_that_is_gone_ends_in_an_error_that_names_it() -> None:
    objects = Objects("s3://bkt", "endpoint_override=127.0.0.1:1&scheme=http", patience_s=1.0)
    began = time.monotonic()
    with pytest.raises(StorageAwayError, match="s3://bkt/x"):
        objects.put("x", b"")
    assert time.monotonic() - began > 0.5
    with pytest.raises(StorageAwayError):
        objects.hasty().get("x")


def test_a_bucket_that_is_not_there_is_told_at_once(s3: S3Server, bucket: str) -> None:
    objects = Objects(f"s3://{bucket}-not", s3.query)
    with pytest.raises(StorageDeniedError, match="no such bucket"):
        objects.put("x", b"")


def test_a_full_disk_of_this_machine_is_no_storage_that_is_away(objects: Objects) -> None:
    objects.put("x", b"content")
    began = time.monotonic()
    with pytest.raises(StorageFullError, match="on this machine") as caught:
        objects.download("x", Path("/dev/full"))
    assert caught.value.exit_code == 75
    assert time.monotonic() - began < 30  # A storage that is away is waited for twice as long.


def test_an_unknown_option_is_told() -> None:
    with pytest.raises(ConfigError, match="known are region"):
        Objects("s3://bkt", "speed=high").get("x")


def test_a_process_has_one_connection_and_its_child_another(s3: S3Server, bucket: str) -> None:
    here = place(s3.url(f"{bucket}/x"))
    assert isinstance(here, Remote)
    assert objects_at(here) is objects_at(here / "y")
    ours = objects_at(here)
    child = os.fork()
    if child == 0:
        os._exit(0 if objects_at(here) is not ours else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
