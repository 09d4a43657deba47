"""A made-up run, as whatever shows it hears of it: every kind of job, every way to end."""

from dataclasses import replace

from pdsearch.observer import Observer
from pdsearch.protocol import Job, Outcome, Progress, Ready, Report, StudentFacts, Use
from pdsearch.records.trial_record import TrialRecord
from tests.pipeline.digits import ALONE, DENSE, SPEC, distilled, job
from tests.records.trial_records import finished, reports

USES = (Use("teacher", "a" * 64, True, 90.0), Use("student", "b" * 64, False, 2.0))
ENDS: list[tuple[str, str | None, float | None, int]] = [
    ("complete", None, 0.9125, 2),
    ("stopped", None, 0.5, 1),
    ("failed", "it broke\nsecond line", None, 0),
    ("infeasible", "student.params = 1442, not <= 10", None, 0),
]


def record(state: str, reason: str | None, value: float | None, epochs: int) -> TrialRecord:
    """A record with what of it is shown."""
    values = {} if value is None else {"student.val_accuracy": value}
    said = reports(*[0.5] * epochs)
    return finished(state=state, reason=reason, values=values, reports=said, artifacts=USES)


def show(observer: Observer) -> None:
    """Let an observer hear a run from its teacher to its confirmation."""
    teacher = job(DENSE, id="teacher-00aa11bb22cc", kind="teacher")
    observer.phase("groundwork", 2, 0)
    observer.started(teacher)
    observer.event(teacher, Progress("teacher", "convnet_s", 1, 2, 0.25))
    observer.ended(teacher, Outcome("complete", values={"teacher.val_accuracy": 0.95}), None)
    alone = job(ALONE, id="baseline-alone-00aa11bb22cc", kind="baseline")
    end(observer, alone, record("complete", None, 0.8, 2))
    observer.phase("search", 5, 1)
    for number, ending in enumerate(ENDS, 1):
        spec = SPEC if number % 2 else DENSE
        trial = job(spec, id=f"search-{number:05d}", number=number, params={"distill.alpha": 0.5})
        observer.started(trial)
        for event in (Ready(None, StudentFacts(model="convnet_s")), Report(1, 2, 0.5, 1.0)):
            observer.event(trial, event)
        end(observer, trial, record(*ending))
    observer.phase("comparison", 0, 0)
    observer.phase("confirmation", 1, 0)
    confirm = job(distilled(seed=3), id="confirm-00aa11bb22cc", kind="confirm")
    end(observer, confirm, record("complete", None, 0.93, 2))


def end(observer: Observer, ended: Job, found: TrialRecord) -> None:
    # What a worker sent does not hold what the driver found: a stopped trial's value, say.
    outcome = replace(Outcome(found.state, epochs={"distill": 2}), reason=found.reason)
    observer.started(ended)
    observer.ended(ended, outcome, found)
