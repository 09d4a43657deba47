from pathlib import Path

import pytest

from pdsearch.artifacts import Store
from pdsearch.artifacts.gc import Held, candidates, collect, held, total_bytes


def entry(
    letter: str, *, size: int = 10, published: float = 0.0, named: bool = False, building: bool = False
) -> Held:
    return Held("prune", letter * 64, size, published, named, building)


def letters(chosen: list[Held]) -> str:
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


def payload(folder: Path) -> None:
    (folder / "x").write_bytes(bytes(100))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    for letter in "ab":
        store.publish("prune", letter * 64, payload, {})
    return store


def test_entries_are_told_with_size_and_use(store: Store) -> None:
    lease = store.lease("prune", "b" * 64)
    assert lease.try_acquire()
    found = {one.key[0]: one for one in held(store, {("prune", "a" * 64)})}
    lease.release()
    assert (found["a"].named, found["a"].building) == (True, False)
    assert found["a"].size >= 100
    assert (found["b"].named, found["b"].building) == (False, True)
    assert total_bytes(list(found.values())) == found["a"].size + found["b"].size


def test_collecting_removes_the_chosen_and_the_quarantine(store: Store, tmp_path: Path) -> None:
    (tmp_path / ".quarantine" / "old").mkdir(parents=True)
    (tmp_path / ".quarantine" / "old" / "file").write_bytes(bytes(7))
    chosen = [one for one in held(store, ()) if one.key[0] == "a"]
    assert collect(store, chosen) == 7 + chosen[0].size
    assert list(store.entries()) == [("prune", "b" * 64)]
    assert collect(store, chosen) == 0
