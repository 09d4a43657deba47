"""A record is written once, whole, and never changed; what is no record is reported."""

import os
from pathlib import Path

import pytest

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.records import read_records, read_trials, write_once
from pdsearch.specs import Json

RECORD: dict[str, Json] = {"format": 1, "id": "search-00001", "values": {"student.val_accuracy": 0.5}}


def test_written_records_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    for name in ("b.finished.json", "a.finished.json", "a.asked.json"):
        write_once(folder / name, {"name": name})
    found = read_records(folder, ".finished.json")
    assert list(found.found.values()) == [{"name": "a.finished.json"}, {"name": "b.finished.json"}]
    assert found.broken == ()
    assert sorted(os.listdir(folder)) == ["a.asked.json", "a.finished.json", "b.finished.json"]


def test_a_missing_folder_holds_no_records(tmp_path: Path) -> None:
    assert read_records(tmp_path / "none").found == {}


@pytest.mark.parametrize("links", [True, False])
def test_the_same_again_is_fine_and_another_is_refused(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.delattr(os, "link")
        monkeypatch.setattr(os, "link", _refuse, raising=False)
    path = tmp_path / "a.json"
    write_once(path, RECORD)
    write_once(path, dict(reversed(RECORD.items())))
    with pytest.raises(StorageError, match="never change"):
        write_once(path, {**RECORD, "id": "other"})
    assert read_records(tmp_path).found == {"a.json": RECORD}
    assert os.listdir(tmp_path) == ["a.json"]


def _refuse(_: object, __: object) -> None:
    raise PermissionError("no hard links here")


@pytest.mark.parametrize(
    "content", [b"", b'{"format": 1, "id"', b"[1]", b"\xff\xfe", b"null", b"[" * 100_000]
)
def test_what_is_no_record_is_reported(tmp_path: Path, content: bytes) -> None:
    write_once(tmp_path / "good.json", RECORD)
    (tmp_path / "bad.json").write_bytes(content)
    records = read_records(tmp_path)
    assert list(records.found) == ["good.json"]
    assert [broken.path.name for broken in records.broken] == ["bad.json"]
    assert records.broken[0].reason


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageFullError, match=str(tmp_path)):
        write_once(tmp_path / "a.json", RECORD)
    assert os.listdir(tmp_path) == []


def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_once(tmp_path / "a.json", {"loss": float("nan")})


def test_records_of_trials_are_known_by_id_and_another_s_is_broken(tmp_path: Path) -> None:
    write_once(tmp_path / "a.asked.json", {"id": "a"})
    write_once(tmp_path / "b.asked.json", {"id": "a"})
    write_once(tmp_path / "c.finished.json", {"id": "c"})
    records = read_trials(tmp_path, "asked")
    assert records.found == {"a": {"id": "a"}}
    (broken,) = records.broken
    assert (broken.path, broken.reason) == (tmp_path / "b.asked.json", "holds another trial's record")
