"""An object storage: its connection, its objects, its refusals, and what is said while it does not answer."""

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError, StorageFullError
from pdsearch.io import StorageAwayError, StorageDeniedError, check_usable, place
from pdsearch.io.objects import Objects, connect, objects_at
from pdsearch.io.place import Remote
from pdsearch.io.refusals import Waiting, judged, reporting_to, waiting
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
    objects.delete_below("x")
    objects.delete_below("nowhere")
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


def test_a_server_that_is_gone_ends_in_an_error_that_names_it() -> None:
    objects = Objects("s3://bkt", "endpoint_override=127.0.0.1:1&scheme=http", patience_s=1.0)
    began = time.monotonic()
    with pytest.raises(StorageAwayError, match="s3://bkt/x"):
        objects.put("x", b"")
    assert time.monotonic() - began > 0.5
    with pytest.raises(StorageAwayError):
        objects.hasty().get("x")


def test_a_full_disk_of_this_machine_is_no_storage_that_is_away(objects: Objects) -> None:
    objects.put("x", b"content")
    began = time.monotonic()
    with pytest.raises(StorageFullError, match="on this machine") as caught:
        objects.download("x", Path("/dev/full"))
    assert caught.value.exit_code == 75
    assert time.monotonic() - began < 30  # A storage that is away is waited for twice as long.


def test_a_process_has_one_connection_and_its_child_another(s3: S3Server, bucket: str) -> None:
    here = place(s3.url(f"{bucket}/x"))
    assert isinstance(here, Remote)
    assert objects_at(here) is objects_at(here / "y")
    ours = objects_at(here)
    child = os.fork()
    if child == 0:
        os._exit(0 if objects_at(here) is not ours else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_options_of_the_url_are_taken() -> None:
    query = "region=eu-west-1&endpoint_override=127.0.0.1:9000&scheme=http&allow_bucket_creation=true"
    files, base = connect(Remote("s3://bucket", "a/b", query))
    assert base == "bucket"
    assert files.region == "eu-west-1"


@pytest.mark.parametrize("query", ["speed=high", "region=a&retries=7"])
def test_an_unknown_option_of_s3_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="known are region, scheme"):
        connect(Remote("s3://bucket", "", query))


def test_other_storages_go_through_pyarrow() -> None:
    files, base = connect(Remote("gs://anonymous@bucket", "a"))
    assert (files.type_name, base) == ("gcs", "bucket")


def test_a_good_one_is_left_as_it_was(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    root = place(s3.url(f"{bucket}/runs"))
    assert isinstance(root, Remote)
    check_usable(root)
    assert objects_at(root).below("", deep=True) == []
    check_usable(tmp_path / "nowhere")


def test_a_storage_that_refuses_once_as_a_run_begins_is_asked_again(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many runs begin at once, S3 tells some to slow down."""
    answers, refusals = Objects._built, ["AWS Error SLOW_DOWN during PutObject operation", "curlCode: 52"]

    def now_and_then(objects: Objects) -> tuple[Any, str]:
        if refusals:
            raise OSError(refusals.pop())
        return answers(objects)

    monkeypatch.setattr(Objects, "_built", now_and_then)
    check_usable(place(s3.url(f"{bucket}/runs")))
    assert not refusals


def test_what_is_wrong_is_told_within_seconds(s3: S3Server, bucket: str) -> None:
    began = time.monotonic()
    with pytest.raises(StorageDeniedError, match=f"{bucket}-not/runs.*no such bucket"):
        check_usable(place(s3.url(f"{bucket}-not/runs")))
    with pytest.raises(StorageAwayError, match=r"endpoint_override=127\.0\.0\.1:1.*does not answer"):
        check_usable(place(f"s3://{bucket}/runs?endpoint_override=127.0.0.1:1&scheme=http"))
    with pytest.raises(ConfigError, match="speed"):
        check_usable(place(f"s3://{bucket}/runs?speed=high"))
    assert time.monotonic() - began < 30


URL = "s3://bucket/runs"
SAID: dict[str, tuple[type[Exception], str]] = {
    "AWS Error NO_SUCH_BUCKET during PutObject operation: gone": (StorageDeniedError, "no such bucket"),
    "AWS Error ACCESS_DENIED during PutObject operation: no": (StorageDeniedError, "no permission"),
    "AWS Error UNKNOWN (HTTP status 403) during HeadObject": (StorageDeniedError, "no permission"),
    "AWS Error INVALID_ACCESS_KEY_ID during x": (StorageDeniedError, "credentials"),
    "AWS Error SLOW_DOWN during PutObject operation": (StorageAwayError, "does not answer"),
    "AWS Error UNKNOWN (HTTP status 503) during x": (StorageAwayError, "does not answer"),
    "AWS Error NETWORK_CONNECTION: curlCode: 7": (StorageAwayError, "endpoint_override"),
}


@pytest.mark.parametrize("said", SAID)
def test_each_refusal_is_told_apart(said: str) -> None:
    kind, word = SAID[said]
    found = judged(OSError(said), URL)
    assert isinstance(found, kind)
    assert found.exit_code == 74
    assert word in str(found)
    assert URL in str(found)


def test_secrets_are_not_repeated() -> None:
    found = judged(OSError("cannot reach s3://key:hush@bucket/x?secret_key=hush\n  at all"), URL)
    assert "hush" not in str(found)
    assert "at all" in str(found)


Watched = tuple[Waiting, list[float], list[str]]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    now, said, found = [100.0], list[str](), Waiting()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    found.say = said.append
    return found, now, said


def test_one_line_when_it_does_not_answer_and_one_when_it_does(watched: Watched) -> None:
    found, now, said = watched
    for _ in range(5):
        now[0] += 4
        found.refused(now[0] - 4, "s3://bkt/x")
    assert said == ["waiting for the storage: it does not answer (s3://bkt/x)"]
    now[0] += 10
    for _ in range(3):
        found.answered()
    assert said[1:] == ["the storage answers again, after 30 s"]
    found.refused(now[0] - 4, "s3://bkt/y")
    assert len(said) == 3, "another time is another line"


def test_a_hiccup_is_no_news(watched: Watched) -> None:
    found, now, said = watched
    for _ in range(9):
        found.refused(now[0], "s3://bkt/x")
        now[0] += 2
        found.answered()
    assert said == []


def test_short_calls_that_fail_again_and_again_are_news(watched: Watched) -> None:
    found, now, said = watched
    for _ in range(3):
        found.refused(now[0], "s3://bkt/x")
        now[0] += 10
    assert len(said) == 1


def test_where_nobody_listens_nothing_is_said(watched: Watched) -> None:
    found, now, _ = watched
    found.say = None
    found.refused(now[0] - 100, "s3://bkt/x")
    found.answered()


@pytest.mark.usefixtures("bucket")  # for its credentials
def test_a_call_tells_while_it_waits() -> None:
    said: list[str] = []
    gone = Objects("s3://bkt", "endpoint_override=127.0.0.1:1&scheme=http", patience_s=5.0)
    with reporting_to(said.append), pytest.raises(Exception, match="does not answer"):
        gone.get("x")
    assert [line.partition(":")[0] for line in said] == ["waiting for the storage"]
    assert waiting.say is None
    waiting.answered()
