"""Entries that are kept and removed: the cache of a node, and garbage of a storage."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pdsearch.artifacts import Holding, Store, stage_key
from pdsearch.artifacts.gc import candidates, collect
from pdsearch.artifacts.gc import entries_in_use as held_artifacts
from pdsearch.artifacts.manifest import CorruptError, Manifest, make_manifest
from pdsearch.artifacts.object_store import LIMIT_BYTES, NodeCache

KEYS = [stage_key("outputs", version, fields=None, upstream={}) for version in range(4)]
SIZE = 1000


def payload(folder: Path) -> None:
    (folder / "x").write_bytes(bytes(SIZE))


def other(folder: Path) -> None:
    (folder / "x").write_bytes(b"other")


@pytest.fixture
def manifests(tmp_path: Path) -> list[Manifest]:
    source = tmp_path / "source"
    source.mkdir()
    payload(source)
    return [make_manifest("outputs", key, source, {}) for key in KEYS]


def held(cache: NodeCache) -> set[str]:
    return {item.key for item in cache.store.holdings()}


def age(cache: NodeCache, key: str, seconds: float) -> None:
    entry = cache.store.find("outputs", key)
    assert entry is not None
    moment = time.time() - seconds
    os.utime(entry.folder, (moment, moment))


def test_a_copy_is_fetched_once(tmp_path: Path, manifests: list[Manifest]) -> None:
    fetched: list[Path] = []

    def fetch(folder: Path) -> None:
        fetched.append(folder)
        payload(folder)

    for cache in (NodeCache(tmp_path / "cache"), NodeCache(tmp_path / "cache")):
        for _ in range(2):
            assert cache.get(manifests[0], fetch).path("x").stat().st_size == SIZE
    assert len(fetched) == 1


def test_what_is_not_what_was_published_is_not_kept(tmp_path: Path, manifests: list[Manifest]) -> None:
    cache = NodeCache(tmp_path / "cache")
    with pytest.raises(CorruptError):
        cache.get(manifests[0], other)
    assert held(cache) == set()
    entry = cache.get(manifests[0], payload)
    entry.path("x").chmod(0o644)
    entry.path("x").write_bytes(b"altered here")
    assert cache.get(manifests[0], payload).path("x").stat().st_size == SIZE


def test_the_least_recently_used_goes_first_and_what_is_in_use_stays(
    tmp_path: Path, manifests: list[Manifest]
) -> None:
    cache = NodeCache(tmp_path / "cache")
    cache.limit_bytes = 3 * (SIZE + 600)
    for manifest in manifests[:3]:
        cache.get(manifest, payload)
    cache.get(manifests[3], payload)
    assert held(cache) == {*KEYS}  # Above the limit: all of them were used just now.
    age(cache, KEYS[0], 3000)
    age(cache, KEYS[1], 4000)
    cache.get(manifests[0], payload)  # Used again.
    cache.make_room(SIZE)
    assert held(cache) == {KEYS[0], KEYS[2], KEYS[3]}


def test_the_limit_is_a_persons_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, limit in (("0.5", 2**29), ("", LIMIT_BYTES), ("much", LIMIT_BYTES), ("1e400", LIMIT_BYTES)):
        monkeypatch.setenv("PDSEARCH_CACHE_GB", text)
        assert NodeCache(tmp_path).limit_bytes == limit


def test_two_processes_fetch_once(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from pdsearch.artifacts.manifest import make_manifest\n"
        "from pdsearch.artifacts.object_store import NodeCache\n"
        "def payload(folder): (folder / 'x').write_bytes(bytes(1000))\n"
        "def fetch(folder): print('fetched'); time.sleep(0.5); payload(folder)\n"
        "source = Path(sys.argv[1]) / sys.argv[2]; source.mkdir(); payload(source)\n"
        "manifest = make_manifest('outputs', 'a' * 64, source, {})\n"
        "NodeCache(Path(sys.argv[1]) / 'cache').get(manifest, fetch)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    racers = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    answers = [racer.communicate()[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert "".join(answers).count("fetched") == 1


def entry(
    letter: str, *, size: int = 10, published: float = 0.0, named: bool = False, building: bool = False
) -> Holding:
    return Holding("prune", letter * 64, size, published, named, building)


def letters(chosen: list[Holding]) -> str:
    return "".join(one.key[0] for one in chosen)


def test_what_records_name_or_a_worker_builds_stays() -> None:
    entries = [entry("a"), entry("b", named=True), entry("c", building=True)]
    assert letters(candidates(entries, max_bytes=None, every=False)) == "a"
    assert letters(candidates(entries, max_bytes=None, every=True)) == "ab"


def test_the_oldest_goes_first_and_no_more_than_needed() -> None:
    entries = [entry("a", published=3), entry("b", published=1), entry("c", published=2)]
    assert letters(candidates(entries, max_bytes=30, every=False)) == ""
    assert letters(candidates(entries, max_bytes=29, every=False)) == "b"
    assert letters(candidates(entries, max_bytes=10, every=False)) == "bc"
    assert letters(candidates(entries, max_bytes=0, every=False)) == "bca"


def test_what_nobody_names_goes_before_what_is_named() -> None:
    entries = [entry("a", published=1, named=True), entry("b", published=2)]
    assert letters(candidates(entries, max_bytes=10, every=True)) == "b"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for letter in "ab":
        store.publish("prune", letter * 64, payload, {})
    return store


def test_collecting_removes_the_chosen_and_the_quarantine(store: Store, tmp_path: Path) -> None:
    (tmp_path / ".quarantine" / "old").mkdir(parents=True)
    (tmp_path / ".quarantine" / "old" / "file").write_bytes(bytes(7))
    chosen = [one for one in held_artifacts(store, ()) if one.key[0] == "a"]
    assert collect(store, chosen) == 7 + chosen[0].size
    assert list(store.entries()) == [("prune", "b" * 64)]
    assert collect(store, chosen) == 0
