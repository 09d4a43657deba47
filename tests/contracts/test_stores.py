"""What a store promises, whichever kind it is: a folder, or a prefix on a real S3 server."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pdsearch.artifacts import ArtifactStore, Entry, open_store, stage_key
from pdsearch.artifacts.gc import candidates, collect, entries_in_use
from pdsearch.errors import StorageError
from pdsearch.io import Place, Remote, place
from pdsearch.io.objects import objects_at
from pdsearch.specs import Json
from tests.artifacts.get_or_build import get_or_build

KEY = stage_key("teacher", 1, fields=None, upstream={})
OTHER = stage_key("teacher", 2, fields=None, upstream={})
PAYLOAD = bytes(range(256)) * 8


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place of each kind; the server is started for the second one only."""
    if request.param == "folder":
        return tmp_path / "store"
    bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return place(server.url(f"{bucket}/a/prefix"))


@pytest.fixture
def store(root: Place) -> ArtifactStore:
    return open_store(root)


def elsewhere(root: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ArtifactStore:
    """The same store as another process sees it, on a machine that has read nothing yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    return open_store(root)


def write(folder: Path) -> None:
    (folder / "weights").write_bytes(PAYLOAD)
    (folder / "more").mkdir()
    (folder / "more" / "log").write_text("three epochs")


def another(folder: Path) -> None:
    (folder / "weights").write_bytes(b"another result")


def damage(root: Place, name: str, change: Callable[[bytes], bytes | None]) -> None:
    """Change what lies there of a payload file or the manifest; None removes it."""
    if isinstance(root, Remote):
        objects = objects_at(root)
        (path,) = [item.path for item in objects.below(root.path, deep=True) if item.path.endswith(name)]
        content = change(objects.get(path) or b"")
        objects.delete(path) if content is None else objects.put(path, content)
        return
    (file,) = [path for path in root.rglob("*") if str(path).endswith(name)]
    content = change(file.read_bytes())
    file.chmod(0o644)
    file.unlink() if content is None else file.write_bytes(content)


def test_what_was_published_is_found_everywhere(
    root: Place, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.publish("teacher", KEY, write, {"epochs": 3})
    for reader in (store, open_store(root), elsewhere(root, monkeypatch, tmp_path)):
        found = reader.find("teacher", KEY)
        assert found is not None
        assert found.meta == entry.meta == {"epochs": 3}
        assert found.path("weights").read_bytes() == PAYLOAD
        assert found.path("more/log").read_text() == "three epochs"
        assert reader.find("teacher", OTHER) is None
        assert reader.find("prune", KEY) is None


def test_payload_can_be_memory_mapped_and_not_written(store: ArtifactStore) -> None:
    entry = store.publish("teacher", KEY, write, {})
    with entry.path("weights").open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        assert view[:] == PAYLOAD
    assert entry.path("weights").stat().st_mode & 0o222 == 0


def test_an_existing_entry_wins(root: Place, store: ArtifactStore) -> None:
    store.publish("teacher", KEY, write, {"epochs": 3})
    again = open_store(root).publish("teacher", KEY, another, {"epochs": 9})
    assert again.meta == {"epochs": 3}
    assert again.path("weights").read_bytes() == PAYLOAD


def test_a_writer_that_fails_publishes_nothing(store: ArtifactStore) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.publish("teacher", KEY, fail, {})
    assert store.find("teacher", KEY) is None
    assert list(store.holdings()) == []


FLIP: Callable[[bytes], bytes] = lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]  # noqa: E731
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": FLIP,
    "cut": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"x",
    "empty": lambda _: b"",
    "gone": lambda _: None,
}


@pytest.mark.parametrize("name", ["weights", "manifest.json"])
@pytest.mark.parametrize("how", DAMAGES)
def test_damage_is_seen_kept_aside_and_rebuilt(
    root: Place, store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    store.publish("teacher", KEY, write, {})
    damage(root, name, DAMAGES[how])
    reader = elsewhere(root, monkeypatch, tmp_path)
    gone = isinstance(root, Remote) and (name, how) == ("manifest.json", "gone")
    if not gone:  # Without its manifest there is no entry on S3; in a folder it is one, and broken.
        assert reader.complaint("teacher", KEY) is not None
    assert reader.find("teacher", KEY) is None
    assert (reader.empty_quarantine() > 0) == (not gone)

    def build(folder: Path) -> dict[str, Json]:
        write(folder)
        return {}

    again, hit = get_or_build(reader, "teacher", KEY, build)
    assert not hit
    assert again.path("weights").read_bytes() == PAYLOAD
    assert reader.complaint("teacher", KEY) is None


def test_a_shallow_look_sees_sizes_and_a_deep_one_content(root: Place, store: ArtifactStore) -> None:
    store.publish("teacher", KEY, write, {})
    assert store.complaint("teacher", KEY) is store.complaint("teacher", OTHER) is None
    damage(root, "weights", FLIP)
    assert store.complaint("teacher", KEY, deep=False) is None
    assert "weights" in str(store.complaint("teacher", KEY))


def test_entries_are_listed_counted_and_removed(root: Place, store: ArtifactStore) -> None:
    assert (list(store.holdings()), store.used("teacher"), store.remove("teacher", KEY)) == ([], 0, False)
    for key in (KEY, OTHER):
        store.publish("teacher", key, write, {})
    found = list(store.holdings())
    assert [(item.stage, item.key) for item in found] == sorted([("teacher", KEY), ("teacher", OTHER)])
    assert all(len(PAYLOAD) < item.size < len(PAYLOAD) + 1000 for item in found)
    assert all(item.published > 1.7e9 for item in found)
    assert store.used("teacher") == sum(item.size for item in found)
    assert store.remove("teacher", KEY)
    assert store.find("teacher", KEY) is None
    assert open_store(root).find("teacher", OTHER) is not None


def test_a_lease_has_one_holder_and_is_told_of(root: Place, store: ArtifactStore) -> None:
    first, second = store.lease("teacher", KEY), open_store(root).lease("teacher", KEY)
    assert first.try_acquire()
    assert first.held
    assert not second.try_acquire()
    assert store.building() == {("teacher", KEY)}
    owner = second.owner()
    assert owner is not None
    assert owner.pid == os.getpid()
    first.release()
    assert (first.held, second.owner(), store.building()) == (False, None, set())
    assert second.try_acquire()
    second.release()


def test_collecting_spares_what_is_named_or_being_built(store: ArtifactStore) -> None:
    for stage in ("teacher", "prune", "outputs"):
        store.publish(stage, KEY, write, {})
    lease = store.lease("prune", KEY)
    assert lease.try_acquire()
    entries = list(entries_in_use(store, {("teacher", KEY)}))
    freed = collect(store, candidates(entries, max_bytes=None, every=False))
    lease.release()
    assert len(PAYLOAD) < freed < len(PAYLOAD) + 1000
    assert [item.stage for item in store.holdings()] == ["prune", "teacher"]


@pytest.mark.parametrize(("stage", "key"), [("..", KEY), (".tmp", KEY), ("teacher", "../" + KEY[3:])])
def test_names_stay_in_their_place(store: ArtifactStore, stage: str, key: str) -> None:
    calls: list[Callable[[], Entry | object]] = [
        lambda: store.find(stage, key),
        lambda: store.publish(stage, key, write, {}),
        lambda: store.lease(stage, key),
        lambda: store.remove(stage, key),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="does not name an artifact"):
            call()
