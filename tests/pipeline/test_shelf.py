"""All stored outputs together stay within the limit, whoever wrote them."""

from pathlib import Path

import pytest

from pdsearch.artifacts import Store
from pdsearch.pipeline import context
from pdsearch.pipeline.context import LogitsLimit


def put(store: Store, key: str, size: int, stage: str = "outputs") -> None:
    store.publish(stage, key * 64, lambda folder: _write(folder / "payload", size), {})


def _write(path: Path, size: int) -> None:
    path.write_bytes(b"x" * size)


def test_what_lies_there_counts_and_what_other_stages_store_does_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "a", 60)
    put(store, "b", 500, stage="student")
    limit = store.used("outputs") + 40
    assert store.used("student") > store.used("outputs") >= 60
    assert not LogitsLimit(store, limit).take(41)
    assert LogitsLimit(store, limit).take(40)


def test_every_place_that_is_given_is_one_less(tmp_path: Path) -> None:
    ours = LogitsLimit(Store(tmp_path), 100)
    assert [ours.take(40), ours.take(40), ours.take(40), ours.take(20)] == [True, True, False, True]


def test_what_others_write_is_counted_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    ours = LogitsLimit(store, 100)
    assert ours.take(10)
    put(store, "c", 95)
    assert ours.take(10)
    monkeypatch.setattr(context, "RECOUNT_S", 0.0)
    assert not ours.take(10)
