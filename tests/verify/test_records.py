import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.trial_record import AskedRecord, TrialRecord, record_to_json
from pdsearch.verify.rules import StudyRecords, check_records, read_records
from tests import trial_records
from tests.trial_records import SPEC, asked, reports


def record(name: str = "search-00000", **changed: Any) -> TrialRecord:
    given = {"key": name, "params": {"a": 1}, "reports": reports(0.5, 0.5), **changed}
    return trial_records.finished(int(name[-5:]), **given)


def rules(*finished: TrialRecord, asked: tuple[AskedRecord, ...] = ()) -> list[str]:
    found = StudyRecords({r.id: r for r in asked}, {r.id: r for r in finished})
    return [item.rule for item in check_records(found, {"code": {}})]


def test_whole_records_are_whole() -> None:
    began = asked(key="search-00000", params={"a": 1})
    assert rules(record(), record("search-00001"), asked=(began,)) == []


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "baseline"},
        {"number": 7},
        {"key": "b" * 64},
        {"params": {}},
        {"spec": replace(SPEC, precision="bf16")},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_trial_ends_as_what_it_was_asked_as(other: dict[str, Any]) -> None:
    began = replace(asked(key="search-00000", params={"a": 1}), **other)
    assert rules(record(), asked=(began,)) == ["records"]


def test_a_key_is_finished_once_per_kind() -> None:
    assert rules(record(key="k"), record("search-00001", key="k")) == ["once"]
    assert rules(record(key="k"), record("search-00001", key="k", kind="baseline")) == []


def test_a_failed_trial_may_be_tried_again() -> None:
    assert rules(record(key="k", state="failed"), record("search-00001", key="k")) == []


@pytest.mark.parametrize("epochs", [[1, 1], [2, 1], [1, 3], [0, 1]])
def test_reports_follow_one_another(epochs: list[int]) -> None:
    assert rules(record(reports=tuple(replace(reports(0.5)[0], epoch=epoch) for epoch in epochs))) == [
        "reports"
    ]


def test_files_that_are_no_records_are_named(tmp_path: Path) -> None:
    (tmp_path / "search-00000.asked.json").write_text(json.dumps(record_to_json(asked())))
    (tmp_path / "search-00001.finished.json").write_text(json.dumps(record_to_json(record())))
    (tmp_path / "search-00002.finished.json").write_text('{"id": "sea')
    found, broken = read_records(tmp_path, {}, live=False)
    assert list(found.asked) == ["search-00000"]
    assert not found.finished
    assert sorted(Path(item.where).name for item in broken) == [
        "search-00001.finished.json",
        "search-00002.finished.json",
    ]
