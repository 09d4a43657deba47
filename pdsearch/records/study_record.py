"""The record of a study on disk, study.json and its later changes: what is searched, on which data, with which code.

`docs/records.md` describes the fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pdsearch.objectives import Aims, Constraint, Objective
from pdsearch.records.codec import WHOLE, DecodeError
from pdsearch.records.trial_record import AskedRecord, RetryRecord, TrialRecord


@dataclass(frozen=True)
class SearchedParameter:
    """A searched parameter: its choices or its range, and the values of others with which it counts."""

    extensible: ClassVar[bool] = True
    choices: tuple[object, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False
    when: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.choices is None and (self.low is None or self.high is None):
            raise DecodeError("has neither choices nor a range")

    def holds(self, value: object) -> bool:
        """Return whether a sampled value is one of its own."""
        if self.choices is not None:
            # A choice that is a list is sampled as its JSON text.
            return value in self.choices or value in [json.dumps(choice) for choice in self.choices]
        if self.low is None or self.high is None or isinstance(value, bool):
            return False
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class StudySpace:
    """The part of a space that may not change, as its study recorded it.

    Args:
        objectives: What is optimised; empty in records that have none.
        constraints: Limits, as texts.
        space: Searched parameters by dotted name; None where the record does not say.
        form: The whole of it, every section and default included, as `Space.identity` gave it.
    """

    extensible: ClassVar[bool] = True
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[str, ...] = ()
    space: Mapping[str, SearchedParameter] | None = None
    form: Mapping[str, Any] = field(default_factory=dict, metadata=WHOLE)

    def __post_init__(self) -> None:
        _ = self.aims  # Raises for what is no constraint.

    @property
    def aims(self) -> Aims:
        """Its objectives and constraints; the default objective where it has none."""
        return Aims(self.objectives or Aims.objectives, tuple(map(Constraint.read, self.constraints)))

    @property
    def searched(self) -> Mapping[str, SearchedParameter]:
        """Its searched parameters."""
        return self.space or {}

    def section(self, name: str) -> Mapping[str, Any]:
        """Return one of its sections; empty where it has none of that name."""
        found = self.form.get(name)
        return found if isinstance(found, Mapping) else {}


UNKNOWN_SPACE = StudySpace()
"""A space by which no record is checked."""


@dataclass(frozen=True)
class StudyData:
    """The data of a study.

    Args:
        fingerprint: Hash of the images' content.
        read: What the set holds and what may surprise, a line each.
        commonest: Share of the commonest class, in [0, 1], and number of images, of "val" and "test".
    """

    extensible: ClassVar[bool] = True
    fingerprint: str = ""
    read: tuple[str, ...] = ()
    commonest: Mapping[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyChange:
    """What was accepted as another in a study, from then on.

    Args:
        space: Its space.
        code: Hash of each piece of own code, by `package.module:function`.
        code_before: The same before.
        code_folders: The folder of each.
        lines: The differences in words.
        changed_at: ISO 8601, UTC.
    """

    extensible: ClassVar[bool] = True
    space: StudySpace
    code: Mapping[str, str] = field(default_factory=dict)
    code_before: Mapping[str, str] = field(default_factory=dict)
    code_folders: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    changed_at: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """What a study is.

    Args:
        study: Its name.
        space: What is searched, and all that is fixed.
        precision: "fp32", "bf16" or "fp16".
        data: Its data.
        checkpoints: Hashes of the teachers' weights that are files of the user's, sorted.
        code: Hash of each piece of own code, by `package.module:function`.
        code_folders: The folder of each when the study began.
        versions: Versions of the software it began with.
        created_at: ISO 8601, UTC.
        changes: What was accepted as another later, oldest first; each lies in a file of its own.
    """

    extensible: ClassVar[bool] = True
    study: str
    space: StudySpace
    precision: str = ""
    data: StudyData = StudyData()
    checkpoints: tuple[str, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    code_folders: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    created_at: str = ""
    changes: tuple[StudyChange, ...] = ()

    def changed(self, later: StudyChange) -> "StudyRecord":
        """Return what the study is from a change on."""
        return replace(
            self,
            space=later.space,
            code=later.code,
            code_folders=later.code_folders,
            changes=(*self.changes, later),
        )


def check_fits(record: AskedRecord | TrialRecord | RetryRecord, space: StudySpace) -> None:
    """Check a sampled trial's record against its study's space.

    Args:
        record: Any record; jobs that were listed have no parameters of the space.
        space: The study's; an empty one checks nothing.

    Raises:
        ValueError: A parameter has a value outside the space, or a complete trial lacks an objective.
    """
    if isinstance(record, RetryRecord) or record.number is None:
        return
    for name, value in record.params.items() if space.space is not None else ():
        if name not in space.searched:
            raise DecodeError("is no parameter of the study", f"params.{name}")
        if not space.searched[name].holds(value):
            raise DecodeError(f"the space does not hold {value!r:.60}", f"params.{name}")
    if isinstance(record, TrialRecord) and record.state == "complete":
        for objective in space.objectives:
            if objective.metric not in record.values:
                raise DecodeError("is missing, an objective of the study", f"values.{objective.metric}")
