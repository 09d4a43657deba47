"""Table of a study's finished trials: rows from its records."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from pdsearch.io import Place, place
from pdsearch.io.record_files import BrokenRecord, read_finished, read_retries
from pdsearch.io.studies import description
from pdsearch.objectives import Aims
from pdsearch.records.codec import encode
from pdsearch.records.students import StudentKind
from pdsearch.records.study_record import StudyRecord
from pdsearch.records.trial_record import TrialRecord, counted
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    Json,
    PruneSpec,
    StudentSpec,
    TeacherSpec,
    canonical_json,
    digest,
)

_NONE = Aims()
_SEEDS = {"distill": ("seed", "view_seed", "replicas"), "teacher": ("seed",)}
_LOCATED = {"data": ("source", "root")}
_NEUTRAL = {
    name: {f.name: encode(f.metadata["neutral"]) for f in dataclasses.fields(kind) if "neutral" in f.metadata}
    for name, kind in {
        "data": DataSpec,
        "teacher": TeacherSpec,
        "prune": PruneSpec,
        "student": StudentSpec,
        "distill": DistillSpec,
    }.items()
}


Source: TypeAlias = str | Callable[[TrialRecord], object]
"""Where a record holds the value of a column: a dotted path, or a function of the record."""


_FACTS = {"teacher": "teacher", "prune": "teacher", "student": "student"}
"""Prefix of a column -> the part of a record that has a field of the rest of its name."""


def column(doc: str, of: Source | None = None) -> Any:
    """Declare a column with its description and source, where its name does not tell that (`_FACTS`)."""
    return field(metadata={"doc": doc, "of": of})


def _json(value: object) -> str:
    return canonical_json(encode(value))


def _val_accuracy(record: TrialRecord) -> float | None:
    last = record.reports[-1].val_accuracy if record.reports else None
    return record.values.get("student.val_accuracy", last)


@dataclass(frozen=True)
class Row:
    """One finished trial as a line of tables that are written; None where a value does not exist.

    Whatever reads more of a trial than its columns reads its `record`.
    """

    record: TrialRecord = field(repr=False)
    id: str = column("Name of the record.")
    kind: str = column("`search`, `baseline`, `confirm` or `teacher`.")
    number: int | None = column("Number of the trial in the search.")
    key: str = column("Hash of the whole configuration, seeds included.")
    config: str = column(
        "Hash of the configuration without the student's seeds: what baselines are paired by."
    )
    setting: str = column("Hash of the configuration without any seed: what is averaged over seeds.")
    state: str = column("`complete`, `stopped` (early), `infeasible` (it broke a constraint) or `failed`.")
    reason: str | None = column("Why the trial is not complete.")
    teacher_config: str | None = column("Hash of the pruned teacher's configuration without its seed.")
    teacher_key: str | None = column("Key of the pruned teacher's artifact.")
    teacher_model: str | None = column("Architecture of the teacher; none for the student alone.")
    teacher_seed: int | None = column(
        "Seed of the teacher.", lambda r: r.spec.teacher.seed if r.teacher else None
    )
    prune_method: str | None = column("Pruning method; none for an unpruned teacher.")
    prune_ratio: float | None = column("Share of weights asked to be pruned, in (0, 1).")
    prune_schedule: str | None = column("How the ratio is approached over rounds.")
    prune_recovery: str | None = column("Training after each round.")
    prune_scope: str | None = column("Where scores compete: `global`, `layer`, `erk` or `sensitivity`.")
    prune_rounds: int | None = column("Rounds of pruning.")
    teacher_sparsity: float | None = column("Share of prunable weights that is zero, achieved, in [0, 1).")
    teacher_params: int | None = column("Weights of the dense teacher.")
    teacher_prunable: int | None = column(
        "Those of them that the method may remove; none in earlier records."
    )
    teacher_remaining: int | None = column("Prunable weights left after pruning.")
    teacher_val_accuracy: float | None = column("Validation accuracy of the teacher, in [0, 1].")
    teacher_test_accuracy: float | None = column(
        "Test accuracy of the teacher, in [0, 1]; confirmation only.",
        lambda r: (r.test or {}).get("teacher.accuracy"),
    )
    student_model: str | None = column("Architecture of the student.")
    student_options: str = column(
        "Options of its architecture, as JSON.", lambda r: _json(r.student.options if r.student else {})
    )
    student_widths: str = column(
        "Channels of its narrowed layers and of the whole ones, as JSON.",
        lambda r: _json(r.student.widths if r.student else {}),
    )
    student_params: int | None = column("Weights of the student.")
    student_flops: int | None = column("Floating-point operations of the student for one image.")
    student_artifact: str | None = column("Key of the student's artifact.")
    loss: str = column("Distillation loss; `ce` is the student alone.", "spec.distill.loss")
    student_seed: int = column(
        "Seed of the student's initialisation and order of images.", "spec.distill.seed"
    )
    view_seed: int = column("Stream of augmented views.", "spec.distill.view_seed")
    epochs: int = column(
        "Epochs of distillation done, the rung a stopped trial reached.",
        lambda r: r.reports[-1].epoch if r.reports else 0,
    )
    epochs_planned: int = column("Epochs of distillation asked for.", "spec.distill.recipe.epochs")
    val_accuracy: float | None = column("Validation accuracy of the student, in [0, 1].", _val_accuracy)
    test_accuracy: float | None = column(
        "Test accuracy of the student, in [0, 1]; confirmation only.",
        lambda r: (r.test or {}).get("student.accuracy"),
    )
    test_right: str | None = column(
        "Which test images the student gets right, as in the record; confirmation only."
    )
    unpruned_config: str | None = column(
        "`config` of the same trial with the unpruned teacher.", lambda r: r.baselines.get("unpruned")
    )
    alone_config: str | None = column(
        "`config` of the same student without a teacher.", lambda r: r.baselines.get("alone")
    )
    seconds: float = column("Wall time of the trial.", lambda r: float(r.cost.seconds))
    epochs_teacher: int = column(
        "Epochs trained for the dense teacher in this trial; 0 if it was there.",
        lambda r: r.cost.epochs.get("teacher", 0),
    )
    epochs_prune: int = column(
        "Epochs of recovery trained in this trial; 0 if the rounds were there.",
        lambda r: r.cost.epochs.get("prune", 0),
    )
    epochs_distill: int = column(
        "Epochs of distillation trained in this trial; 0 if the student was there.",
        lambda r: r.cost.epochs.get("distill", 0),
    )
    artifacts_hit: int = column(
        "Artifacts used that were there already.", lambda r: sum(use.hit for use in r.artifacts)
    )
    artifacts_built: int = column(
        "Artifacts built by this trial.", lambda r: sum(not use.hit for use in r.artifacts)
    )
    host: str | None = column("Where it ran.")
    device: str | None = column("On what.")
    started_at: str | None = column("ISO 8601 time.")
    finished_at: str | None = column("ISO 8601 time.")
    params: str = column("Sampled parameters by dotted name, as JSON.", lambda r: _json(r.params))
    values: str = column("All metrics by name, as JSON.", lambda r: _json(r.values))
    spec: str = column("The whole configuration, as JSON.")

    @cached_property
    def student(self) -> StudentKind | None:
        """What decides with which other students its student is compared; None where none was built."""
        return self.record.student.built if self.record.student else None

    def cells(self) -> dict[str, object]:
        """Return the values of its columns by name."""
        return {name: getattr(self, name) for name in COLUMNS}


COLUMNS = {item.name: item.metadata for item in dataclasses.fields(Row) if item.metadata}
"""Name of a column -> its description and source, in the order in which they are written."""


def row_from_record(record: TrialRecord, aims: Aims = _NONE) -> Row:
    """Flatten one finished record.

    Args:
        record: The record.
        aims: The study's objectives and constraints: a sampled trial that breaks a constraint is infeasible, also where
            an older version called it complete.
    """
    spec = encode(record.spec)
    known: dict[str, Any] = {
        "setting": setting_of(spec),
        "spec": canonical_json(spec),
    }  # Encoded once for both.
    row = Row(
        record,
        *(
            known[name] if name in known else _value(record, about["of"] or _source(name))
            for name, about in COLUMNS.items()
        ),
    )
    if record.number is None:
        return row
    state, reason = aims.verdict(record.state, record.values, record.reason)
    return replace(row, state=state, reason=reason)


def _source(column: str) -> str:
    prefix, _, rest = column.partition("_")
    return f"{_FACTS[prefix]}.{rest}" if prefix in _FACTS else column


def _value(record: TrialRecord, of: Source) -> Any:
    if callable(of):
        return of(record)
    found: Any = record
    for name in of.split("."):
        found = None if found is None else getattr(found, name)
    return found


def setting_of(spec: Mapping[str, Any]) -> str:
    """Return the hash of a configuration without seeds and paths.

    A field at its neutral value is left out, so that hashes stay the same when a spec gets a new field.
    """
    kept: dict[str, Json] = {}
    for name, value in spec.items():
        dropped, neutral = (*_SEEDS.get(name, ()), *_LOCATED.get(name, ())), _NEUTRAL.get(name, {})
        if isinstance(value, dict):
            value = {
                k: v for k, v in value.items() if k not in dropped and (k not in neutral or v != neutral[k])
            }
        kept[name] = value
    return digest(kept)


_RECIPES = {"teacher": "teacher", "recover": "prune", "distill": "distill"}
"""Recipe of a space file -> section of a specification that holds it."""


def searched_values(row: Row, names: Mapping[str, object]) -> dict[str, Json]:
    """Return the values of a study's searched parameters in one trial, a confirmation or a baseline as well.

    Returns:
        A value for each name; None where the parameter does not count in that trial.
    """
    sampled, spec = json.loads(row.params), json.loads(row.spec)
    return {name: sampled[name] if name in sampled else _named_value(spec, name) for name in names}


def _named_value(spec: Mapping[str, Any], name: str) -> Json:
    head, _, field = name.partition(".")
    if head == "train":
        recipe, _, field = field.partition(".")
        found = (spec.get(_RECIPES.get(recipe, "")) or {}).get("recipe")
        return (found or {}).get(field)
    section = spec.get(head)
    if section is None:
        return "none" if name == "prune.method" else None
    group, _, member = field.partition(".")
    value = dict(section[group]).get(member) if member else section.get(field, _part(section, field))
    return None if head == "prune" and group == "recipe" else value


def _part(section: Mapping[str, Any], field: str) -> Json:
    return dict(section.get("params") or ()).get(field)


@dataclass(frozen=True)
class StudyTable:
    """A study as read from its folder: a row for each finished trial, sorted by id, and files that are no records."""

    name: str
    about: StudyRecord
    rows: tuple[Row, ...]
    broken: tuple[BrokenRecord, ...] = ()

    @property
    def aims(self) -> Aims:
        """The study's objectives and constraints."""
        return self.about.space.aims


def read_study(folder: str | Place) -> StudyTable:
    """Read a study's folder, original or copy.

    Raises:
        ConfigError: The folder is no study's.
        StorageError: It cannot be read.
    """
    folder = place(folder)
    about = description(folder)
    read = read_finished(folder / "trials", about.space)
    again = read_retries(folder / "trials").found
    records = sorted(counted(read.found, again).values(), key=lambda record: record.id)
    rows = tuple(row_from_record(record, about.space.aims) for record in records)
    return StudyTable(about.study, about, rows, read.broken)
