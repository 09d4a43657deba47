"""The student's training: every epoch is one report; the trained student is an artifact like every other stage's."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pdsearch.artifacts import Entry
from pdsearch.data import Dataset
from pdsearch.events import Progress, Report
from pdsearch.specs import Json, TrialSpec, derive_seed
from pdsearch.stages.data import views
from pdsearch.stages.fitting import Fitting, achieved
from pdsearch.stages.keys import student_key
from pdsearch.stages.lesson import lesson, pupil
from pdsearch.stages.networks import Network, load, packed
from pdsearch.stages.obtain import Made, obtain, tensors
from pdsearch.stages.site import Site
from pdsearch.stages.student import Student

__all__ = ["Taught", "distill"]


@dataclass(frozen=True)
class Taught:
    """A trained student's artifact, and the validation accuracy of the epoch whose weights it holds, if measured."""

    key: str
    val_accuracy: float | None


def distill(
    spec: TrialSpec, data: Dataset, teacher: Network | None, student: Student, site: Site
) -> Generator[Progress | Report, None, Taught]:
    """Train the student, or find it trained; either way yield every epoch's report.

    The student's module holds the trained weights at the end.
    """
    key = student_key(spec)
    reported: list[Report] = []

    def make() -> Generator[Report, None, Made]:
        with closing(_training(spec, data, teacher, student, site)) as training:
            for event in training:
                reported.append(event)
                yield event
        meta: dict[str, Json] = {
            "reports": [[r.epoch, r.epochs, r.val_accuracy, r.loss] for r in reported],
            **student.facts(),
        }
        return Made(packed(student.model), meta)

    entry = yield from obtain(site, "student", key, make)
    if not reported:
        load(student.model, tensors(entry), where=str(entry.folder))
        for report in (Report(*row) for row in _rows(entry)):
            reported.append(report)
            yield report
    accuracies = (report.val_accuracy for report in reported)
    return Taught(key, achieved(accuracies, spec.distill.recipe))


def _training(
    spec: TrialSpec, data: Dataset, teacher: Network | None, student: Student, site: Site
) -> Generator[Report, None, None]:
    """Train the student in place."""
    seen = views(data, augment=spec.data.augment, stream=spec.distill.view_seed, site=site)
    fitting = Fitting(spec, data, site, stage="distill", key=student_key(spec))
    training = fitting.run(
        pupil(spec, data, teacher, student.model, site),
        seen=seen,
        objective=lesson(spec, data, teacher, seen, site),
        recipe=spec.distill.recipe,
        seed=derive_seed(spec.distill.seed, "student"),
    )
    with closing(training):
        for report in training:
            yield Report(report.epoch, report.epochs, report.val_accuracy, report.loss)


def _rows(entry: Entry) -> list[Any]:
    rows = entry.meta["reports"]
    assert isinstance(rows, list)
    return rows
