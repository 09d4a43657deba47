"""A study whose trials are scripted: the real ledger, records, leases and store, and no training."""

import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdsearch import io as storage
from pdsearch.artifacts import building, open_store
from pdsearch.config import Space, parse
from pdsearch.data.registry import sources
from pdsearch.data.sources import digits
from pdsearch.observer import Observer
from pdsearch.pipeline import keys
from pdsearch.protocol import Event, Job, Outcome, Progress, Ready, Report, StudentFacts, TeacherFacts, Use
from pdsearch.search.planning.outcomes import unbuilt_teacher
from pdsearch.search.preflight import opening
from pdsearch.search.study import Study, open_as_driver
from pdsearch.specs import Json, TrialSpec
from tests.search.scripted_trials import played

RECIPE: dict[str, Json] = {"epochs": 3, "lr": 0.1}


def space(root: Path, **search: Any) -> Space:
    """A small space over a pruned and an unpruned teacher, early stopping and confirmation included."""
    return parse(
        {
            "study": "study",
            "data": {"source": "digits", "val_fraction": 0.2},
            "teacher": {"model": "convnet_l"},
            "student": {"model": "convnet_s"},
            "train": {"teacher": RECIPE, "recover": RECIPE, "distill": RECIPE},
            "space": {
                "prune.method": ["none", "magnitude"],
                "prune.ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["magnitude"]}},
                "distill.alpha": {"low": 0.1, "high": 1.0},
            },
            "search": {
                "trials": 4,
                "seed": 1,
                "stop": {"halving": {"min_epochs": 1, "factor": 2}},
                **search,
            },
            "constraints": ["student.params <= 1000"],
            "confirm": {"teachers": 1, "seeds": 1},
            "precision": "fp32",
            "storage": str(root),
        }
    )


def begin_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the images once for all studies of a test, and try no network: neither asks anything of the storage."""
    images = digits._load()
    monkeypatch.setattr(digits, "_load", lambda: images)
    monkeypatch.setattr(type(sources.get("digits")), "fingerprint", lambda *_: "0" * 64)
    monkeypatch.setattr(opening, "check_trials", lambda *_: None)
    monkeypatch.setattr(opening, "prunable_lines", lambda *_: [])
    monkeypatch.setattr(opening, "room", lambda *_: None)


class Worker:
    """Runs scripted jobs; counts what it builds. Results depend on keys alone, as real ones do."""

    def __init__(self, study: Study) -> None:
        self.store, self.progress = open_store(study.artifacts), study.progress
        self.built: list[str] = []
        self.epochs = 0

    def run(self, job: Job) -> Generator[Event, None, None]:
        uses: list[Use] = []
        try:
            yield from self._teacher(job.spec, uses)
            if job.kind == "teacher":
                yield Outcome("complete", values={"teacher.val_accuracy": 0.9}, artifacts=tuple(uses))
                return
            yield Ready(_teacher(job.spec), StudentFacts(model="convnet_s", params=500, flops=9), tuple(uses))
            reports = yield from self._student(job, uses)
        except ArithmeticError as error:
            yield Outcome("failed", str(error))
            return
        values = {"student.val_accuracy": reports[-1], "student.params": 500.0, "student.flops": 9.0}
        test = {"student.accuracy": 0.5, "teacher.accuracy": 0.9} if job.test else None
        yield Outcome("complete", values=values, test=test, student=job.key, artifacts=tuple(uses))

    def _teacher(self, spec: TrialSpec, uses: list[Use]) -> Generator[Progress, None, None]:
        if keys.needs_teacher(spec):
            yield from self._obtain("teacher", keys.dense_key(spec), uses)
            for key in keys.round_keys(spec):
                yield from self._obtain("prune", key, uses)

    def _obtain(
        self, stage: str, key: str, uses: list[Use], meta: dict[str, Json] | None = None
    ) -> Generator[Progress, None, None]:
        with building(self.store, stage, key) as turn:
            for _ in turn.wait():
                yield Progress(stage)
            if turn.entry is None:
                turn.publish(lambda folder: _write(folder, key), meta or {})
                self.built.append(key)
            uses.append(Use(stage, key, turn.hit, 0.0))

    def _student(self, job: Job, uses: list[Use]) -> Generator[Event, None, list[float]]:
        """Train epoch by epoch with a checkpoint after each; or replay."""
        entry = self.store.find("student", job.key)
        path = self.progress / job.key / "reports.json"
        stored: Any = entry.meta["reports"] if entry else json.loads(storage.read(path) or b"[]")
        for epoch in range(1, 4):
            if epoch > len(stored):
                stored.append(_accuracy(job.key, epoch))
                self.epochs += 1
                storage.replace(path, json.dumps(stored).encode())
            yield Report(epoch, 3, stored[epoch - 1], 1.0)
        yield from self._obtain("student", job.key, uses, {"reports": stored})
        return list(stored)


def drive(study: Study, worker: Worker, until: str = "no job") -> Job | None:
    """Run a study's jobs, as the serial runner does, up to one whose name begins so; return it, begun."""
    while (job := study.scheduler.next()) is not None and not job.id.startswith(until):
        study.scheduler.finish(job, outcome(study, job, worker))
    return job


def run(where: Space) -> Worker:
    """Open the study, run it to its end, close it."""
    with open_as_driver(where, Observer()) as study:
        worker = Worker(study)
        drive(study, worker)
        if study.scheduler.failure:
            raise study.scheduler.failure
        return worker


def records(root: Path, kind: str = "finished") -> dict[str, bytes]:
    """Every record's bytes by file name."""
    return {path.name: path.read_bytes() for path in (root / "study" / "trials").glob(f"*.{kind}.json")}


def outcome(study: Study, job: Job, worker: Worker) -> Outcome:
    return played(job, study.scheduler, worker.run)


def _write(folder: Path, key: str) -> None:
    (folder / "weights.bin").write_bytes(bytes.fromhex(key))


def _accuracy(key: str, epoch: int) -> float:
    return int(key[:6], 16) / 2**25 + epoch / 10


def _teacher(spec: TrialSpec) -> TeacherFacts | None:
    if not keys.needs_teacher(spec):
        return None
    return replace(unbuilt_teacher(spec), val_accuracy=0.9, params=10, remaining=8, sparsity=0.2, rounds=1)


def read(root: Path) -> dict[str, dict[str, Any]]:
    """Every finished record by file name."""
    return {name: json.loads(content) for name, content in records(root).items()}
