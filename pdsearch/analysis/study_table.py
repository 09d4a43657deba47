"""Table of a study's finished trials: rows from its records."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pdsearch.codec import encode
from pdsearch.io import Place, place
from pdsearch.io.record_files import BrokenRecord, read_finished, read_retries
from pdsearch.io.studies import description
from pdsearch.objectives import Aims
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
from pdsearch.students import Student
from pdsearch.study_record import StudyRecord
from pdsearch.trial_record import TrialRecord, counted

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


def column(doc: str) -> Any:
    """Declare a column with its description."""
    return field(metadata={"doc": doc})


@dataclass(frozen=True)
class Row:
    """One finished trial; None where a value does not exist."""

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
    teacher_seed: int | None = column("Seed of the teacher.")
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
        "Test accuracy of the teacher, in [0, 1]; confirmation only."
    )
    student_model: str | None = column("Architecture of the student.")
    student_options: str = column("Options of its architecture, as JSON.")
    student_widths: str = column("Channels of its narrowed layers and of the whole ones, as JSON.")
    student_params: int | None = column("Weights of the student.")
    student_flops: int | None = column("Floating-point operations of the student for one image.")
    student_artifact: str | None = column("Key of the student's artifact.")
    loss: str = column("Distillation loss; `ce` is the student alone.")
    student_seed: int = column("Seed of the student's initialisation and order of images.")
    view_seed: int = column("Stream of augmented views.")
    epochs: int = column("Epochs of distillation done, the rung a stopped trial reached.")
    epochs_planned: int = column("Epochs of distillation asked for.")
    val_accuracy: float | None = column("Validation accuracy of the student, in [0, 1].")
    test_accuracy: float | None = column("Test accuracy of the student, in [0, 1]; confirmation only.")
    test_right: str | None = column(
        "Which test images the student gets right, as in the record; confirmation only."
    )
    unpruned_config: str | None = column("`config` of the same trial with the unpruned teacher.")
    alone_config: str | None = column("`config` of the same student without a teacher.")
    seconds: float = column("Wall time of the trial.")
    epochs_teacher: int = column("Epochs trained for the dense teacher in this trial; 0 if it was there.")
    epochs_prune: int = column("Epochs of recovery trained in this trial; 0 if the rounds were there.")
    epochs_distill: int = column("Epochs of distillation trained in this trial; 0 if the student was there.")
    artifacts_hit: int = column("Artifacts used that were there already.")
    artifacts_built: int = column("Artifacts built by this trial.")
    host: str | None = column("Where it ran.")
    device: str | None = column("On what.")
    started_at: str | None = column("ISO 8601 time.")
    finished_at: str | None = column("ISO 8601 time.")
    params: str = column("Sampled parameters by dotted name, as JSON.")
    values: str = column("All metrics by name, as JSON.")
    spec: str = column("The whole configuration, as JSON.")

    @property
    def student(self) -> Student | None:
        """What decides with which other students its student is compared; None where none was built."""
        if self.student_model is None:
            return None
        return Student(
            self.student_model, self.student_params, f"[{self.student_options},{self.student_widths}]"
        )


def measured(row: Row) -> dict[str, float]:
    """Return a trial's metrics by name."""
    values: dict[str, float] = json.loads(row.values)
    return values


def row_from_record(record: TrialRecord, aims: Aims = _NONE) -> Row:
    """Flatten one finished record.

    Args:
        record: The record.
        aims: The study's objectives and constraints: a sampled trial that breaks a constraint is infeasible, also where
            an older version called it complete.
    """
    parts = (_identity, _teacher, _student, _cost)
    row = Row(**{name: value for part in parts for name, value in part(record).items()})
    if record.number is None:
        return row
    state, reason = aims.verdict(record.state, record.values, record.reason)
    return replace(row, state=state, reason=reason)


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


def _identity(record: TrialRecord) -> dict[str, Any]:
    names = ("id", "kind", "number", "key", "config", "state", "reason", "host", "device", "started_at")
    spec = encode(record.spec)
    return {
        **{name: getattr(record, name) for name in (*names, "finished_at")},
        "params": canonical_json(encode(record.params)),
        "values": canonical_json(encode(record.values)),
        "spec": canonical_json(spec),
        "setting": setting_of(spec),
        "unpruned_config": record.baselines.get("unpruned"),
        "alone_config": record.baselines.get("alone"),
    }


def _teacher(record: TrialRecord) -> dict[str, Any]:
    teacher = record.teacher
    same = ("config", "key", "model", "sparsity", "params", "prunable", "remaining", "val_accuracy")
    prune = ("method", "ratio", "schedule", "recovery", "scope", "rounds")
    return {
        **{f"teacher_{name}": getattr(teacher, name, None) for name in same},
        **{f"prune_{name}": getattr(teacher, name, None) for name in prune},
        "teacher_seed": record.spec.teacher.seed if teacher else None,
        "teacher_test_accuracy": (record.test or {}).get("teacher.accuracy"),
    }


def _student(record: TrialRecord) -> dict[str, Any]:
    distill, student = record.spec.distill, record.student
    last = record.reports[-1] if record.reports else None
    return {
        **{
            f"student_{name}": getattr(student, name, None)
            for name in ("model", "params", "flops", "artifact")
        },
        "student_options": canonical_json(encode(student.options) if student else {}),
        "student_widths": canonical_json(encode(student.widths) if student else {}),
        "loss": distill.loss,
        "student_seed": distill.seed,
        "view_seed": distill.view_seed,
        "epochs": last.epoch if last else 0,
        "epochs_planned": distill.recipe.epochs,
        "val_accuracy": record.values.get("student.val_accuracy", last.val_accuracy if last else None),
        "test_accuracy": (record.test or {}).get("student.accuracy"),
        "test_right": record.test_right,
    }


def _cost(record: TrialRecord) -> dict[str, Any]:
    hits = sum(use.hit for use in record.artifacts)
    return {
        "seconds": float(record.cost.seconds),
        **{f"epochs_{stage}": record.cost.epochs.get(stage, 0) for stage in ("teacher", "prune", "distill")},
        "artifacts_hit": hits,
        "artifacts_built": len(record.artifacts) - hits,
    }


@dataclass(frozen=True)
class StudyTable:
    """A study as read from its folder.

    Args:
        name: Name of the study.
        about: What the study is: the space, the data, versions.
        rows: One per finished trial, sorted by id.
        broken: Files that are no valid records; always reported.
        records: What the rows were made from, in their order.
    """

    name: str
    about: StudyRecord
    rows: tuple[Row, ...]
    broken: tuple[BrokenRecord, ...] = ()
    records: tuple[TrialRecord, ...] = ()

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
    records = tuple(sorted(counted(read.found, again).values(), key=lambda record: record.id))
    rows = tuple(row_from_record(record, about.space.aims) for record in records)
    return StudyTable(about.study, about, rows, read.broken, records)
