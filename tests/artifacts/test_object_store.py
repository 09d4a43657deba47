"""Artifacts and leases on an object storage."""

from pathlib import Path

import pytest

from pdsearch.artifacts import ObjectLease, ObjectStore, stage_key
from pdsearch.artifacts.file_lease import record
from pdsearch.artifacts.manifest import MANIFEST
from pdsearch.artifacts.object_lease import discard_object_if_dead
from pdsearch.artifacts.owner import Owner, this_owner
from pdsearch.io import Remote, place, read, replace
from pdsearch.io.objects import Objects, objects_at
from tests.s3_server import S3Server

KEY = stage_key("teacher", 1, fields=None, upstream={})


@pytest.fixture
def root(s3: S3Server, bucket: str) -> Remote:
    found = place(s3.url(f"{bucket}/artifacts"))
    assert isinstance(found, Remote)
    return found


def node(root: Remote, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The store as a machine of its own sees it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
    return ObjectStore(root)


def publish(store: ObjectStore, content: bytes) -> bytes:
    entry = store.publish("teacher", KEY, lambda folder: _write(folder, content), {})
    return entry.path("weights").read_bytes()


def _write(folder: Path, content: bytes) -> None:
    (folder / "weights").write_bytes(content)


def test_of_two_publishers_at_once_the_last_manifest_has_a_whole_payload(
    root: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (node(root, name, tmp_path, monkeypatch) for name in "ab")
    put = Objects.put

    def overtaken(self: Objects, path: str, content: bytes) -> None:
        if path.endswith(MANIFEST):  # Our payload is there; now the other one publishes, from first to last.
            monkeypatch.setattr(Objects, "put", put)
            assert publish(theirs, b"theirs") == b"theirs"
        put(self, path, content)

    monkeypatch.setattr(Objects, "put", overtaken)
    assert publish(ours, b"ours") == b"ours"
    for store in (ours, theirs, node(root, "c", tmp_path, monkeypatch)):
        assert store.complaint("teacher", KEY) is None
        entry = store.find("teacher", KEY)
        assert entry is not None
        assert entry.path("weights").read_bytes() == b"ours"


def test_a_copy_of_what_was_made_anew_is_replaced(
    root: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (node(root, name, tmp_path, monkeypatch) for name in "ab")
    publish(ours, b"first")
    assert theirs.remove("teacher", KEY)
    assert ours.find("teacher", KEY) is None
    publish(theirs, b"second")
    entry = ours.find("teacher", KEY)
    assert entry is not None
    assert entry.path("weights").read_bytes() == b"second"


@pytest.mark.parametrize(("times", "found"), [(1, True), (2, False)])
def test_bytes_garbled_on_their_way_are_read_again_before_they_count_as_broken(
    root: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, found: bool
) -> None:
    publish(node(root, "a", tmp_path, monkeypatch), b"result")
    download, left = Objects.download, [times]

    def garbled(self: Objects, path: str, file: Path) -> bool:
        there = download(self, path, file)
        if left[0]:
            left[0] -= 1
            file.write_bytes(b"resulT")
        return there

    monkeypatch.setattr(Objects, "download", garbled)
    assert (node(root, "b", tmp_path, monkeypatch).find("teacher", KEY) is not None) == found


def test_a_broken_manifest_that_was_mended_meanwhile_is_left_alone(
    root: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = node(root, "a", tmp_path, monkeypatch)
    publish(store, b"result")
    manifest = (root / "teacher" / KEY[:2] / KEY / MANIFEST).path
    objects, good = objects_at(root), objects_at(root).get(manifest)
    assert good is not None
    get, first = Objects.get, [True]

    def late(self: Objects, path: str) -> bytes | None:
        content = get(self, path)
        if path == manifest and first.pop():
            return b"torn"
        return content

    monkeypatch.setattr(Objects, "get", lambda self, path: late(self, path) if first else get(self, path))
    assert store.find("teacher", KEY) is None
    monkeypatch.setattr(Objects, "get", get)
    assert objects.get(manifest) == good


def test_a_payload_without_a_manifest_is_no_entry(
    root: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = node(root, "a", tmp_path, monkeypatch)

    put = Objects.put
    monkeypatch.setattr(Objects, "put", None)  # The driver dies between payload and manifest.
    with pytest.raises(TypeError):
        publish(store, b"result")
    monkeypatch.setattr(Objects, "put", put)
    assert [item.size for item in objects_at(root).below(root.path, deep=True)] == [6]
    assert list(store.holdings()) == []
    assert store.find("teacher", KEY) is None
    assert store.complaint("teacher", KEY) is None


def test_sweeping_removes_the_leases_of_the_dead(root: Remote, s3: S3Server) -> None:
    store = ObjectStore(root)
    lease = store.lease("teacher", KEY)
    assert lease.try_acquire()
    assert store.sweep() == 0
    assert lease.held
    lease.release()
    assert store.leftovers() == []
    assert s3.port


ELSEWHERE = Owner("elsewhere", "another machine", 1, "1")


@pytest.fixture
def where(s3: S3Server, bucket: str) -> Remote:
    found = place(s3.url(f"{bucket}/leases/x.json"))
    assert isinstance(found, Remote)
    return found


def test_who_is_written_over_while_it_reads_back_does_not_get_it(
    where: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Objects.put

    def overtaken(self: Objects, path: str, content: bytes) -> None:
        put(self, path, content)
        put(self, path, record(ELSEWHERE, 0))

    monkeypatch.setattr(Objects, "put", overtaken)
    lease = ObjectLease(where)
    assert not lease.try_acquire()
    assert not lease.held
    assert lease.owner() == ELSEWHERE


def test_only_a_dead_owners_lease_is_discarded(where: Remote) -> None:
    assert not discard_object_if_dead(where)
    for owner in (ELSEWHERE, this_owner()):
        replace(where, record(owner, 0))
        assert not discard_object_if_dead(where)
    here = this_owner()
    replace(where, record(Owner(here.host, here.machine, here.pid, "1"), 0))
    assert discard_object_if_dead(where)
    assert read(where) is None
