"""A record is written once, whole, and never changed; what is no record is reported."""

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.io import place
from pdsearch.io.record_files import MOST_BYTES, read_asked, read_finished, read_retries, write_once
from pdsearch.objectives import Objective
from pdsearch.protocol import TeacherFacts, Use
from pdsearch.records.codec import DecodeError
from pdsearch.records.study_record import SearchedParameter, StudySpace, check_fits
from pdsearch.records.trial_record import FORMAT, record_to_json
from pdsearch.search.records import Records
from pdsearch.specs import Json
from tests.records.trial_records import SPEC, asked, finished, reports
from tests.s3_server import S3Server

RECORD: dict[str, Json] = {"format": 1, "id": "search-00001", "values": {"student.val_accuracy": 0.5}}


def test_written_records_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "trials"
    for number in (1, 0):
        write_once(folder / f"search-0000{number}.finished.json", record_to_json(finished(number)))
    write_once(folder / "search-00000.asked.json", record_to_json(asked()))
    found = read_finished(folder)
    assert list(found.found.values()) == [finished(0), finished(1)]
    assert found.broken == ()
    assert read_asked(folder).found == {"search-00000": asked()}
    assert len(os.listdir(folder)) == 3


def test_a_missing_folder_holds_no_records(tmp_path: Path) -> None:
    assert read_finished(tmp_path / "none").found == {}


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
    assert json.loads(path.read_bytes()) == RECORD
    assert os.listdir(tmp_path) == ["a.json"]


def test_in_an_object_store_too_another_is_refused(s3: S3Server, bucket: str) -> None:
    path = place(s3.url(f"{bucket}/study")) / "a.json"
    write_once(path, RECORD)
    write_once(path, dict(reversed(RECORD.items())))
    with pytest.raises(StorageError, match="never change"):
        write_once(path, {**RECORD, "id": "other"})


def _refuse(_: object, __: object) -> None:
    raise PermissionError("no hard links here")


@pytest.mark.parametrize(
    "content", [b"", b'{"format": 1, "id"', b"[1]", b"\xff\xfe", b"null", b"[" * 100_000]
)
def test_what_is_no_record_is_reported(tmp_path: Path, content: bytes) -> None:
    write_once(tmp_path / "search-00000.finished.json", record_to_json(finished()))
    (tmp_path / "search-00001.finished.json").write_bytes(content)
    records = read_finished(tmp_path)
    assert list(records.found) == ["search-00000"]
    assert [broken.path.name for broken in records.broken] == ["search-00001.finished.json"]
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


def test_another_trial_s_record_is_none(tmp_path: Path) -> None:
    for number in (0, 1):
        write_once(tmp_path / f"search-0000{number}.asked.json", record_to_json(asked()))
    (broken,) = read_asked(tmp_path).broken
    assert str(broken) == f"{tmp_path}/search-00001.asked.json: holds the record of search-00000"


@pytest.mark.parametrize("kind", ["FIFO", "device", "link to a device", "too large"])
def test_what_is_no_file_of_a_record_s_size_is_refused_and_never_waited_for(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "search-00000.retry.json"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "too large":
        with path.open("wb") as file:
            file.truncate(MOST_BYTES + 1)
    elif kind == "device" and os.geteuid() == 0:
        os.mknod(path, stat.S_IFCHR | 0o600, os.stat("/dev/zero").st_rdev)
    else:
        path.symlink_to("/dev/zero")
    (broken,) = read_retries(tmp_path).broken
    assert broken.reason == {
        "FIFO": "is a FIFO, not a file",
        "too large": "is larger than 16 MiB: no file of its kind",
    }.get(kind, "is a device, not a file")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_that_no_table_holds_is_none_of_a_record(tmp_path: Path, number: int) -> None:
    value = record_to_json(finished(spec=replace(SPEC, teacher=replace(SPEC.teacher, seed=number))))
    (tmp_path / "search-00000.finished.json").write_text(json.dumps(value))
    (broken,) = read_finished(tmp_path).broken
    assert "larger than any number of a record" in broken.reason


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        ("reports.0.val_accuracy", 1.5, "a number from 0 to 1, got 1.5"),
        ("reports.0.epoch", -1, "no negative number, got -1"),
        ("values.student.val_accuracy", -0.1, "a number from 0 to 1"),
        ("values.student.params", -5, "no negative number"),
        ("teacher.val_accuracy", 1e308, "a number from 0 to 1"),
        ("teacher.sparsity", 2, "a number from 0 to 1"),
        ("teacher.remaining", -1, "no negative number"),
        ("student.flops", -1, "no negative number"),
        ("cost.seconds", -1, "no negative number"),
        ("cost.epochs.distill", -1, "no negative number"),
        ("artifacts.0.seconds", -1, "no negative number"),
        ("started_at", "yesterday", "a time of ISO 8601 with its zone, got 'yesterday'"),
        ("finished_at", "2026-01-01T00:00:00", "a time of ISO 8601 with its zone"),
    ],
)
def test_a_measurement_that_cannot_be_is_named(tmp_path: Path, path: str, value: object, what: str) -> None:
    teacher = TeacherFacts(key="a" * 64, config="b" * 64, model="convnet_l")
    record = finished(teacher=teacher, reports=reports(0.5), artifacts=(Use("data", "c" * 64, True, 1.0),))
    written = record_to_json(record)
    place: Any = written
    first, _, rest = path.partition(".")
    steps = [first, *([rest] if first == "values" else rest.split(".") if rest else [])]
    for step in steps[:-1]:
        place = place[int(step) if step.isdigit() else step]
    place[steps[-1]] = value
    (tmp_path / "search-00000.finished.json").write_text(json.dumps(written))
    (broken,) = read_finished(tmp_path).broken
    shown = re.sub(r"\.(\d+)\.", r"[\1].", path)
    assert broken.reason.startswith(f"{shown}: expected {what}"), broken.reason


def test_a_record_of_format_1_is_read_and_a_newer_one_told_apart(tmp_path: Path) -> None:
    """Format 1 wrote facts of a student that never stood."""
    value = {**record_to_json(finished(state="failed")), "format": 1, "student": {"artifact": None}}
    path = tmp_path / "search-00000.finished.json"
    path.write_text(json.dumps(value))
    assert read_finished(tmp_path).found["search-00000"] == finished(state="failed", student=None)
    path.write_text(json.dumps({**value, "format": FORMAT + 1}))
    (broken,) = read_finished(tmp_path).broken
    assert (broken.newer, "newer pdsearch" in broken.reason) == (True, True)
    with pytest.raises(StorageError, match="newer pdsearch"):
        Records(tmp_path).mend(print)
    assert path.exists()


def test_a_damaged_request_to_try_again_is_made_anew(tmp_path: Path) -> None:
    write_once(tmp_path / "search-00000.finished.json", record_to_json(finished(state="failed")))
    (tmp_path / "search-00000.retry.json").write_bytes(b"{")
    assert Records(tmp_path).retry("search-00000")
    found = Records(tmp_path)
    assert (found.retries, found.broken) == ({"search-00000"}, ())
    assert not found.retry("search-00000")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"number": None, "params": {"other": 1}}, ""),
        ({"params": {"teacher.seed": 1, "distill.alpha": 0.5}}, ""),
        ({"params": {"other": 1}}, "is no parameter of the study"),
        ({"params": {"teacher.seed": 3}}, "the space does not hold 3"),
        ({"params": {"distill.alpha": 1.5}}, "the space does not hold 1.5"),
        ({"params": {"distill.alpha": True}}, "the space does not hold True"),
        ({"params": {}, "values": {}}, "is missing, an objective of the study"),
    ],
)
def test_a_sampled_trial_is_a_point_of_its_study_s_space(given: dict[str, Any], what: str) -> None:
    searched = {
        "teacher.seed": SearchedParameter(choices=(0, 1)),
        "distill.alpha": SearchedParameter(low=0.0, high=1.0),
    }
    space = StudySpace(objectives=(Objective("student.val_accuracy", "maximize"),), space=searched)
    record = replace(finished(), **{"values": {"student.val_accuracy": 0.5}, **given})
    if not what:
        check_fits(record, space)
        return
    with pytest.raises(DecodeError, match=what):
        check_fits(record, space)


def test_a_searched_parameter_has_choices_or_a_range() -> None:
    with pytest.raises(DecodeError, match="neither choices nor a range"):
        SearchedParameter(low=1.0)
