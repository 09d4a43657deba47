"""The records of a trial on disk and their format: asked, finished, and the request to retry.

`docs/records.md` describes the fields. Every command reads records by `read_record`: older formats are converted
there, and a damaged record gives the same message everywhere.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from pdsearch.protocol import Report, StudentFacts, TeacherFacts, Use
from pdsearch.records.codec import DecodeError, decode, encode, unpack
from pdsearch.specs import TrialSpec

FORMAT = 2
"""Format of study.json and of every record; a version reads this one and all before it."""

Kind: TypeAlias = Literal["search", "baseline", "confirm"]
State: TypeAlias = Literal["complete", "stopped", "infeasible", "failed"]


_KEY = re.compile(r"[0-9a-f]{64}")
_STAGE = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class NewerFormatError(ValueError):
    """A file was written by a newer pdsearch: it is intact, so this version must not set it aside."""


@dataclass(frozen=True, kw_only=True)
class AskedRecord:
    """A trial that was started; holds all that is needed to run it again.

    Args:
        id: `search-00012`, `baseline-00003`, `baseline-alone-<key>`, `baseline-fair-<key>` or
            `confirm-<key>`.
        kind: Kind of its job.
        number: Number of its Optuna trial; None for jobs that are listed and not sampled.
        key: Key of its student, which is the trial's key.
        params: Sampled values, by dotted name.
        spec: Everything to compute.
        asked_at: ISO 8601, UTC.
    """

    extensible: ClassVar[bool] = True
    id: str
    kind: Kind
    number: int | None
    key: str
    params: Mapping[str, Any]
    spec: TrialSpec
    asked_at: str = ""


@dataclass(frozen=True)
class Cost:
    """Seconds in the worker, and epochs trained for the trial by stage (`teacher`, `prune`, `distill`)."""

    extensible: ClassVar[bool] = True
    seconds: float = 0.0
    epochs: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial that has ended.

    Args:
        id: As in `AskedRecord`, like all up to `spec`.
        kind: See there.
        number: See there.
        key: See there.
        params: See there.
        spec: See there.
        config: Key of the configuration: the student's key without the student's seeds.
        state: How it ended; "stopped" means early, "infeasible" that it breaks a constraint.
        reason: Why it is not complete.
        reports: One report for each epoch of distillation.
        values: Metrics by name.
        test: Test accuracies of student and teacher, where the trial was allowed to open the test set.
        test_right: Which test images the student gets right (`codec.pack`); None in records of earlier versions.
        teacher: Its teacher; None where it has none, or none was ready yet.
        student: Its student; None where none was built yet.
        baselines: Configurations it is compared with, by role.
        artifacts: All artifacts used.
        cost: Seconds and epochs it took.
        host: Host it ran on.
        device: Device it ran on.
        versions: Versions of the software it ran with.
        started_at: ISO 8601, UTC.
        finished_at: ISO 8601, UTC.
    """

    extensible: ClassVar[bool] = True
    id: str
    kind: Kind
    number: int | None
    key: str
    params: Mapping[str, Any]
    spec: TrialSpec
    config: str
    state: State
    reason: str | None = None
    reports: tuple[Report, ...]
    values: Mapping[str, float]
    test: Mapping[str, float] | None = None
    test_right: str | None = None
    teacher: TeacherFacts | None = None
    student: StudentFacts | None = None
    baselines: Mapping[str, str] = field(default_factory=dict)
    artifacts: tuple[Use, ...] = ()
    cost: Cost = Cost()
    host: str | None = None
    device: str | None = None
    versions: Mapping[str, Any] = field(default_factory=dict)
    started_at: str | None = None
    finished_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class RetryRecord:
    """A request to ask a trial again that failed, or finished with earlier code: its id, and when (ISO 8601, UTC)."""

    extensible: ClassVar[bool] = True
    id: str
    wanted_at: str = ""


REDONE = "it finished with earlier own code, and is asked again"


def counted(finished: Mapping[str, TrialRecord], retries: Collection[str]) -> dict[str, TrialRecord]:
    """Return finished records as they count: one that was asked again counts as failed, whatever it reached."""
    return {
        name: replace(record, state="failed", reason=REDONE)
        if name in retries and record.state != "failed"
        else record
        for name, record in finished.items()
    }


AnyRecord: TypeAlias = AskedRecord | TrialRecord | RetryRecord
R = TypeVar("R", AskedRecord, TrialRecord, RetryRecord)


def record_to_json(record: AnyRecord) -> dict[str, Any]:
    """Return a record as the JSON values that are written."""
    return {"format": FORMAT, **encode(record)}


def read_record(kind: type[R], value: dict[str, object]) -> R:
    """Return the record that JSON values hold, converted from an older format if necessary.

    Args:
        kind: Kind of record, by the file's name.
        value: The file's content.

    Raises:
        NewerFormatError: A newer version wrote it.
        ValueError: It is no such record; the message names the field.
    """
    known = check_format(value)
    if known == 1:
        value = _from_format_1(value)
    record = decode(kind, value)
    if not isinstance(record, RetryRecord):
        _check_identity(record)
    if isinstance(record, TrialRecord):
        _check_end(record)
    return record


def _check_identity(record: AskedRecord | TrialRecord) -> None:
    if record.number is not None and record.id != f"{record.kind}-{record.number:05d}":
        raise DecodeError(f"expected that of {record.id}, got {record.number}", "number")
    _check_key(record.key, "key")
    for name in ("asked_at", "started_at", "finished_at"):
        check_time(getattr(record, name, None), name)
    if record.spec.prune is not None:
        _ = record.spec.prune.after_round  # Raises for an unknown recovery.


def _check_end(record: TrialRecord) -> None:
    """Check values that other code relies on: names that become file paths, and shares."""
    for place, use in enumerate(record.artifacts):
        _check_key(use.key, f"artifacts[{place}].key")
        if not _STAGE.fullmatch(use.stage):
            raise DecodeError(
                f"expected the name of a stage, got {use.stage!r:.60}", f"artifacts[{place}].stage"
            )
    if record.student is not None and record.student.artifact is not None:
        _check_key(record.student.artifact, "student.artifact")
    for path, value in _measured(record):
        if value is not None and not 0 <= value <= (
            1 if path.endswith(("accuracy", "sparsity")) else math.inf
        ):
            least = (
                "a number from 0 to 1" if path.endswith(("accuracy", "sparsity")) else "no negative number"
            )
            raise DecodeError(f"expected {least}, got {value}", path)
    if record.test_right is not None:
        _check_answers(record.test_right, (record.test or {}).get("student.accuracy"))


def _measured(record: TrialRecord) -> Iterator[tuple[str, float | None]]:
    """Yield shares and counts with their paths; none of them can be negative."""
    parts: dict[str, Mapping[str, float | None]] = {"values": record.values, "test": record.test or {}}
    for place, report in enumerate(record.reports):
        share = report.val_accuracy or 0
        if (
            min(report.epoch, report.epochs, share) < 0 or share > 1
        ):  # There are thousands, almost always right.
            parts[f"reports[{place}]"] = {**vars(report), "loss": None}
    parts |= {f"artifacts[{n}]": {"seconds": use.seconds} for n, use in enumerate(record.artifacts)}
    parts |= {"cost.epochs": record.cost.epochs, "cost": {"seconds": record.cost.seconds}}
    for name, facts, fields in (
        ("teacher", record.teacher, _OF_TEACHER),
        ("student", record.student, _OF_STUDENT),
    ):
        parts[name] = {} if facts is None else {field: getattr(facts, field) for field in fields}
    for path, values in parts.items():
        yield from ((f"{path}.{name}", value) for name, value in values.items())


_OF_TEACHER = ("val_accuracy", "params", "prunable", "remaining", "sparsity", "rounds")
_OF_STUDENT = ("params", "flops")


def check_time(text: str | None, path: str) -> None:
    """Check a time of a record, if there is one.

    Raises:
        DecodeError: It is no time of ISO 8601 with its zone.
    """
    try:
        right = not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        right = False
    if not right:
        raise DecodeError(f"expected a time of ISO 8601 with its zone, got {text!r:.60}", path)


def _check_answers(text: str, accuracy: float | None) -> None:
    try:
        count, bits = unpack(text)
    except ValueError as error:
        raise DecodeError(str(error), "test_right") from None
    share = int.from_bytes(bits, "big").bit_count() / count
    if accuracy is None or abs(share - accuracy) > 1e-6:
        raise DecodeError(
            f"is right of {share:.6g} of the images, unlike test.student.accuracy", "test_right"
        )


def _check_key(key: str, path: str) -> None:
    if not _KEY.fullmatch(key):
        raise DecodeError(f"expected 64 hexadecimal digits, got {key!r:.60}", path)


def check_format(value: Mapping[str, object]) -> int:
    """Return the format number of a study's file.

    Raises:
        NewerFormatError: A newer version wrote it.
        ValueError: It has none.
    """
    found = value.get("format")
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise DecodeError(
            "is missing" if found is None else f"expected 1 to {FORMAT}, got {found!r}", "format"
        )
    if found > FORMAT:
        raise NewerFormatError(
            f"format {found} was written by a newer pdsearch; this one reads up to {FORMAT}"
        )
    return found


def _from_format_1(value: dict[str, object]) -> dict[str, object]:
    """Convert format 1, which wrote facts of students that were never built, and null for what is empty."""
    student = value.get("student")
    absent = student is None or (isinstance(student, dict) and student.keys() <= {"artifact"})
    empty: dict[str, object] = {
        name: {} for name in ("baselines", "cost") if name in value and value[name] is None
    }
    return {**value, **({"student": None} if absent else {}), **empty}
