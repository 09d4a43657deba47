import json
from pathlib import Path
from typing import Any

import pytest

from pdsearch.invariants.records import Found, check, read


def record(name: str = "search-00000", **changed: Any) -> dict[str, Any]:
    number = int(name[-5:])
    reports = [{"epoch": epoch, "val_accuracy": 0.5, "loss": 1.0} for epoch in (1, 2)]
    same = {"kind": "search", "number": number, "key": name, "params": {"a": 1}, "spec": {}}
    return {"id": name, **same, "state": "complete", "reports": reports, **changed}


def rules(*finished: dict[str, Any], asked: tuple[dict[str, Any], ...] = ()) -> list[str]:
    found = Found({r["id"]: r for r in asked}, {r["id"]: r for r in finished})
    return [item.rule for item in check(found)]


def test_whole_records_are_whole() -> None:
    first = record()
    assert rules(first, record("search-00001"), asked=(first,)) == []


@pytest.mark.parametrize("field", ["kind", "number", "key", "params", "spec"])
def test_a_trial_ends_as_what_it_was_asked_as(field: str) -> None:
    assert rules(record(), asked=(record(**{field: "another"}),)) == ["records"]


def test_a_key_is_finished_once_per_kind() -> None:
    assert rules(record(key="k"), record("search-00001", key="k")) == ["once"]
    assert rules(record(key="k"), record("search-00001", key="k", kind="baseline")) == []


def test_a_failed_trial_may_be_tried_again() -> None:
    assert rules(record(key="k", state="failed"), record("search-00001", key="k")) == []


@pytest.mark.parametrize("epochs", [[1, 1], [2, 1], [1, 3], [0, 1]])
def test_reports_follow_one_another(epochs: list[int]) -> None:
    assert rules(record(reports=[{"epoch": epoch} for epoch in epochs])) == ["reports"]


def test_files_that_are_no_records_are_named(tmp_path: Path) -> None:
    (tmp_path / "search-00000.asked.json").write_text(json.dumps(record()))
    (tmp_path / "search-00001.finished.json").write_text(json.dumps(record()))
    (tmp_path / "search-00002.finished.json").write_text('{"id": "sea')
    found, broken = read(tmp_path, live=False)
    assert list(found.asked) == ["search-00000"]
    assert not found.finished
    assert sorted(Path(item.where).name for item in broken) == [
        "search-00001.finished.json",
        "search-00002.finished.json",
    ]
