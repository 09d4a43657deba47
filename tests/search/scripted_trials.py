"""A small space, and workers that only play: events come from a script, so that a whole study takes milliseconds."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection

from pdsearch.config import Space, parse
from pdsearch.observer import Observer
from pdsearch.pipeline import keys
from pdsearch.protocol import Event, Job, Outcome, Ready, Report, StudentFacts, Use, Work
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.optuna_backend.journal import open_journal
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.planning.outcomes import unbuilt_teacher
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description
from pdsearch.search.scheduler import Scheduler
from pdsearch.search.study import open_as_driver
from tests.some import some

DESCRIBE = Description("f" * 64, "fp32", versions={})
RECIPE = {"epochs": 4, "lr": 0.1}
DOCUMENT: dict[str, Any] = {
    "study": "small",
    "data": {"source": "digits", "subset": 100},
    "teacher": {"model": "convnet_s", "seed": 0},
    "student": {"model": "convnet_s"},
    "train": {"teacher": RECIPE, "recover": RECIPE, "distill": RECIPE},
    "distill": {"loss": "kd"},
    "space": {
        "prune.method": ["none", "magnitude"],
        "prune.ratio": {"choices": [0.2, 0.36], "when": {"prune.method": ["magnitude"]}},
        "distill.temperature": {"low": 1, "high": 20, "log": True},
    },
    "search": {"trials": 6, "sampler": "tpe", "seed": 0},
    "confirm": {"teachers": 1, "seeds": 2},
}

Script = Callable[[Job], Generator[Event, None, None]]


def space(folder: Path, **sections: Any) -> Space:
    """The small space with some sections replaced, stored in a folder."""
    return parse({**DOCUMENT, "storage": str(folder), **sections})


def searching(**search: Any) -> dict[str, Any]:
    """The section `search` with some keys replaced."""
    return {**DOCUMENT["search"], **search}


def accuracy(job: Job) -> float:
    """What a job of this key always reaches, in [0.5, 1)."""
    return 0.5 + int(job.key[:8], 16) / 2**33


def ready(job: Job) -> Ready:
    """Facts of a teacher and a student as a worker gives them."""
    spec = job.spec
    teacher = unbuilt_teacher(spec) if keys.needs_teacher(spec) else None
    student = StudentFacts(model=spec.student.model, params=900, flops=9000)
    used = (Use("data", "d" * 64, True, 1.0),)
    return Ready(teacher, student, used, {"teacher": 2}, "here", "cpu")


def reports(job: Job) -> list[Report]:
    """Reports that rise to the job's accuracy."""
    epochs = job.spec.distill.recipe.epochs
    return [
        Report(epoch, epochs, accuracy(job) * epoch / epochs, 1 / epoch) for epoch in range(1, epochs + 1)
    ]


def outcome(job: Job) -> Outcome:
    """A whole trial's outcome."""
    values = {"student.val_accuracy": accuracy(job), "student.params": 900.0, "student.flops": 9000.0}
    test = {"student.accuracy": accuracy(job) - 0.01} if job.test else None
    return Outcome("complete", values=values, test=test, student=job.key, seconds=1.0)


def whole(job: Job) -> Generator[Event, None, None]:
    """The script of a trial that goes well."""
    if job.kind == "teacher":
        yield Outcome("complete", values={"teacher.val_accuracy": 0.9})
        return
    yield ready(job)
    yield from reports(job)
    yield outcome(job)


def unmeasured(job: Job) -> Generator[Event, None, None]:
    """The script of a trial that goes well where there are no validation images."""
    if job.kind == "teacher":
        yield Outcome("complete")
        return
    yield ready(job)
    for report in reports(job):
        yield replace(report, val_accuracy=None)
    ended = outcome(job)
    known = {name: value for name, value in ended.values.items() if name != "student.val_accuracy"}
    yield replace(ended, values=known)


def failing(job: Job) -> Generator[Event, None, None]:
    """The script of a trial that breaks after an epoch; teachers and baselines go well."""
    if job.kind != "search":
        yield from whole(job)
        return
    yield ready(job)
    yield reports(job)[0]
    yield Outcome("failed", "it broke")


def play(work: Work, script: Script = whole) -> list[Job]:
    """Run all work, one job after another, as the serial runner does; return the jobs."""
    played = []
    while (job := work.next()) is not None:
        played.append(job)
        play_one(work, job, script)
    return played


def play_one(work: Work, job: Job, script: Script = whole) -> None:
    """Run one job to its end."""
    work.finish(job, played(job, work, script))


def played(job: Job, work: Work, script: Script) -> Outcome:
    """Run one job; return how it ends."""
    events = script(job)
    with closing(events):
        for event in events:
            if isinstance(event, Outcome):
                return event
            if work.tell(job, event):
                break
    return Outcome("stopped")


class Watching(Observer):
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int, int]] = []
        self.ids: list[str] = []
        self.states: list[str] = []
        self.said: list[str] = []

    def phase(self, name: str, total: int, done: int) -> None:
        self.phases.append((name, total, done))

    def started(self, job: Job) -> None:
        self.ids.append(job.id)

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:  # noqa: ARG002
        self.states.append(record.state if record else outcome.state)

    def say(self, text: str) -> None:
        self.said.append(text)


def run(folder: Path, script: Script = whole, **sections: Any) -> tuple[Watching, Scheduler]:
    """Play the small study, with some sections replaced, in a folder."""
    watching = Watching()
    with open_as_driver(space(folder, **sections), watching) as study:
        play(study.scheduler, script)
        return watching, study.scheduler


def ledger(searched: Space, *, kind: str = "search", single: bool = False) -> Ledger:
    """Open the space's ledger of search trials, as opening the study does."""
    folder = Path(searched.storage) / searched.study
    study = optuna.create_study(
        study_name=kind,
        storage=open_journal(folder / "journal.log"),
        directions=[StudyDirection[objective.goal.upper()] for objective in searched.objectives],
        load_if_exists=True,
    )
    return Ledger(study, searched, Records(folder / "trials"), kind=kind, describe=DESCRIBE, single=single)


def run_one(kept: Ledger, script: Script = whole) -> TrialRecord:
    """Ask a ledger for a job, play it and return its record."""
    job = some(kept.ask())
    for event in script(job):
        if isinstance(event, Outcome):
            return kept.finish(job, event)
        if kept.tell(job, event):
            return kept.finish(job, Outcome("stopped"))
    raise AssertionError("a script ends with an outcome")
