import json
from pathlib import Path
from typing import Any

import pytest

from pdsearch.codec import encode
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    PruneSpec,
    Recipe,
    StudentSpec,
    TeacherSpec,
    TrialSpec,
    digest,
    keyed,
)

SPACE = """
data: {source: digits}
teacher: {model: convnet_l}
student: {model: convnet_s}
train:
  teacher: {epochs: 4, lr: 0.1}
  recover: {epochs: 2, lr: 0.1}
  distill: {epochs: 4, lr: 0.1}
space:
  prune.method: [none, magnitude]
  prune.ratio: {choices: [0.36, 0.59], when: {prune.method: [magnitude]}}
  distill.temperature: {low: 1, high: 20, log: true}
search: {trials: 6, stop: {halving: {min_epochs: 2, factor: 2}}}
constraints: ["student.params <= 5000"]
confirm: {teachers: 2, seeds: 3}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small space's file."""
    path = tmp_path / "small.yaml"
    path.write_text(SPACE)
    return path


RECIPE = Recipe(epochs=2, lr=0.1)
PRUNE = PruneSpec("magnitude", 0.36, RECIPE)


def spec(prune: PruneSpec | None, seed: int, loss: str = "kd") -> TrialSpec:
    return TrialSpec(
        data=DataSpec("digits"),
        teacher=TeacherSpec("convnet_l", 0, RECIPE),
        student=StudentSpec("convnet_s"),
        distill=DistillSpec(RECIPE, loss=loss, seed=seed, view_seed=seed),
        prune=prune,
    )


def record(trial: TrialSpec, accuracy: float, *, kind: str, number: int | None = None) -> dict[str, Any]:
    key = digest(keyed(trial))
    alone = trial.distill.loss == "ce"
    teacher = None if alone else teacher_facts(trial)
    return {
        "format": 1,
        "id": f"{kind}-{key[:12]}" if number is None else f"{kind}-{number:05d}",
        "kind": kind,
        "number": number,
        "key": key,
        "config": digest([trial.prune is not None, trial.distill.loss]),
        "params": {"prune.ratio": 0.36},
        "spec": encode(trial),
        "state": "complete",
        "reason": None,
        "reports": [{"epoch": epoch, "epochs": 2, "val_accuracy": accuracy, "loss": 1.0} for epoch in (1, 2)],
        "values": {"student.val_accuracy": accuracy, "student.params": 900, "student.flops": 9000},
        "test": {"student.accuracy": accuracy, "teacher.accuracy": 0.9} if kind == "confirm" else None,
        "teacher": teacher,
        "student": {"model": "convnet_s", "options": {}, "params": 900, "flops": 9000, "artifact": None},
        "baselines": {"unpruned": digest([False, "kd"]), "alone": digest([False, "ce"])},
        "artifacts": [],
        "cost": {"seconds": 1.0, "epochs": {}},
        "host": "here",
        "device": "cpu",
        "versions": {},
        "started_at": "2025-01-01T00:00:00.000+00:00",
        "finished_at": "2025-01-01T00:00:01.000+00:00",
    }


def teacher_facts(trial: TrialSpec) -> dict[str, Any]:
    pruned = trial.prune is not None
    return {
        "key": digest(["teacher", pruned]),
        "config": digest(["teacher", pruned]),
        "model": "convnet_l",
        "method": "magnitude" if pruned else None,
        "ratio": 0.36 if pruned else None,
        "sparsity": 0.36 if pruned else 0.0,
        "rounds": 2 if pruned else 0,
        "scope": "global" if pruned else None,
        "recovery": "lr_rewind" if pruned else None,
        "schedule": "geometric" if pruned else None,
        "val_accuracy": 0.95,
        "params": 1000,
        "remaining": 640 if pruned else 1000,
    }


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """A study of two searched and nine confirmed trials: the pruned teacher's students are the best."""
    found = [
        record(spec(PRUNE, 0), 0.90, kind="search", number=0),
        record(spec(None, 0), 0.88, kind="search", number=1),
    ]
    for seed in (1, 2, 3):
        found.append(record(spec(PRUNE, seed), 0.90 + 0.01 * seed, kind="confirm"))
        found.append(record(spec(None, seed), 0.88 + 0.01 * seed, kind="confirm"))
        found.append(record(spec(None, seed, loss="ce"), 0.80 + 0.01 * seed, kind="confirm"))
    folder = tmp_path / "small"
    (folder / "trials").mkdir(parents=True)
    objectives = [
        {"metric": "student.val_accuracy", "goal": "maximize"},
        {"metric": "student.params", "goal": "minimize"},
    ]
    about = {"format": 1, "study": "small", "space": {"objectives": objectives}}
    (folder / "study.json").write_text(json.dumps(about))
    for item in found:
        (folder / "trials" / f"{item['id']}.finished.json").write_text(json.dumps(item))
    return folder
