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
from pdsearch.training import EpochReport

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

    def make() -> Generator[Progress | Report, None, Made]:
        with closing(_epochs(spec, data, teacher, student, site, key)) as epochs:
            for report in epochs:
                reported.append(Report(report.epoch, report.epochs, report.val_accuracy, report.loss))
                yield reported[-1]
        meta: dict[str, Json] = {
            "reports": [[r.epoch, r.epochs, r.val_accuracy, r.loss] for r in reported],
            **student.facts(),
        }
        return Made(packed(student.model), meta)

    entry = yield from obtain(site, "student", key, make)
    if not reported:
        load(student.model, tensors(entry))
        for row in _rows(entry):
            reported.append(Report(*row))
            yield reported[-1]
    accuracies = (report.val_accuracy for report in reported)
    return Taught(key, achieved(accuracies, spec.distill.recipe))


def _epochs(
    spec: TrialSpec, data: Dataset, teacher: Network | None, student: Student, site: Site, key: str
) -> Generator[EpochReport, None, None]:
    seen = views(data, augment=spec.data.augment, stream=spec.distill.view_seed, site=site)
    fitting = Fitting(spec, data, site, stage="distill", key=key)
    yield from fitting.run(
        pupil(spec, data, teacher, student.model, site),
        seen=seen,
        objective=lesson(spec, data, teacher, seen, site),
        recipe=spec.distill.recipe,
        seed=derive_seed(spec.distill.seed, "student"),
    )


def _rows(entry: Entry) -> list[Any]:
    rows = entry.meta["reports"]
    assert isinstance(rows, list)
    return rows
