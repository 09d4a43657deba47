"""Synthetic study records in the published format, without running a study."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pdsearch.analysis.study_table import Row, StudyTable, row_from_record
from pdsearch.io.record_files import write_once
from pdsearch.records.codec import decode, encode, pack
from pdsearch.records.study_record import StudyRecord
from pdsearch.records.trial_record import TrialRecord, read_record
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    PruneSpec,
    Recipe,
    StudentSpec,
    TeacherSpec,
    TrialSpec,
    digest,
)

RECIPE = Recipe(epochs=20, lr=0.1)


def spec(
    method: str | None,
    seed: int = 0,
    *,
    teacher_seed: int = 0,
    temperature: float = 4.0,
    student: str = "vgg11_bn",
) -> TrialSpec:
    """Return a trial with a teacher pruned by a method, an unpruned one (None), or none ("alone")."""
    alone = method == "alone"
    return TrialSpec(
        data=DataSpec(source="digits", fingerprint="f" * 64),
        teacher=TeacherSpec(model="vgg19_bn", seed=teacher_seed, recipe=RECIPE),
        prune=PruneSpec(method=method, ratio=0.59, recipe=RECIPE) if method and not alone else None,
        student=StudentSpec(model=student),
        distill=DistillSpec(
            recipe=RECIPE,
            loss="ce" if alone else "kd",
            params=() if alone else (("temperature", temperature),),
            seed=seed,
            view_seed=seed,
        ),
    )


def config(trial: TrialSpec) -> str:
    """Return the hash of a trial without the student's seeds."""
    value = encode(trial)
    distill: Any = value["distill"]
    del distill["seed"], distill["view_seed"]
    return digest(value)


def record(
    method: str | None,
    val: float,
    *,
    kind: str = "confirm",
    seed: int = 0,
    teacher_seed: int = 0,
    temperature: float = 4.0,
    test: float | None = None,
    epochs: int = 20,
    state: str = "complete",
    number: int = 0,
    student: str = "vgg11_bn",
    params: int = 9_000_000,
) -> dict[str, Any]:
    """Return one finished record."""
    trial = spec(method, seed, teacher_seed=teacher_seed, temperature=temperature, student=student)
    whole = encode(trial)
    name = f"{kind}-{digest(whole)[:12]}" if kind == "confirm" else f"{kind}-{number:05d}"
    return {
        "format": 1,
        "id": name,
        "kind": kind,
        "number": number if kind == "search" else None,
        "key": digest(whole),
        "config": config(trial),
        "params": {"distill.temperature": temperature},
        "spec": whole,
        "state": state,
        "reason": None,
        "reports": [{"epoch": epochs, "epochs": 20, "val_accuracy": val, "loss": 1.0}],
        "values": {"student.val_accuracy": val, "student.params": params, "student.flops": 1000},
        "test": None if test is None else _tested(method, test),
        "teacher": _teacher(method),
        "student": {
            "model": student,
            "options": {"width": 2},
            "params": params,
            "flops": 1000,
            "artifact": "a" * 64,
        },
        "baselines": _baselines(trial) if kind == "confirm" else None,
        "artifacts": [{"stage": "teacher", "key": "b" * 64, "hit": True, "seconds": 1.0}],
        "cost": {"seconds": 2.5, "epochs": {"teacher": 0, "prune": 3, "distill": epochs}},
        "host": "here",
        "device": "cpu",
        "versions": {},
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:00:02Z",
    }


def _tested(method: str | None, accuracy: float) -> dict[str, float]:
    return {"student.accuracy": accuracy} | ({} if method == "alone" else {"teacher.accuracy": 0.9})


def _baselines(trial: TrialSpec) -> dict[str, str]:
    lone = replace(trial, prune=None, distill=replace(trial.distill, loss="ce", params=()))
    return {"unpruned": config(replace(trial, prune=None)), "alone": config(lone)}


def _teacher(method: str | None) -> dict[str, Any] | None:
    if method == "alone":
        return None
    return {
        "key": digest(["teacher", method]),
        "config": digest(["teacher config", method]),
        "model": "vgg19_bn",
        "method": method,
        "ratio": 0.59 if method else None,
        "sparsity": 0.5904 if method else 0.0,
        "rounds": 4 if method else 0,
        "scope": "global",
        "recovery": "lr_rewind",
        "schedule": "geometric",
        "val_accuracy": 0.8,
        "params": 20_000_000,
        "remaining": 8_000_000,
    }


def answered(record: dict[str, Any], accuracy: float, images: int = 100) -> dict[str, Any]:
    """Give a record answers by image, the right ones first, and the test accuracy that they come to."""
    right = [place < round(accuracy * images) for place in range(images)]
    record["test"] = {**(record["test"] or {}), "student.accuracy": sum(right) / images}
    record["test_right"] = pack(right)
    return record


def confirmed(
    method: str | None, values: Iterable[float], *, test: float = 0.0, **more: Any
) -> list[dict[str, Any]]:
    """Return confirmation records over seeds 0, 1, ...; test accuracies are shifted by `test`."""
    return [record(method, val, seed=seed, test=val + test, **more) for seed, val in enumerate(values)]


def row_of(record: dict[str, Any]) -> Row:
    """Return the row of a record as it is read from its file."""
    return row_from_record(read_record(TrialRecord, record))


def study(records: Iterable[dict[str, Any]], **about: Any) -> StudyTable:
    """Return a study that found these records."""
    whole = decode(StudyRecord, {"study": "made-up", "space": {}, **about})
    found = (read_record(TrialRecord, item) for item in records)
    return StudyTable("made-up", whole, tuple(row_from_record(item, whole.space.aims) for item in found))


def write_study(folder: Path, records: Iterable[dict[str, Any]], **about: Any) -> None:
    """Write a study's folder."""
    write_once(folder / "study.json", {"format": 1, "study": "made-up", "space": {}, **about})
    for item in records:
        write_once(folder / "trials" / f"{item['id']}.finished.json", item)
