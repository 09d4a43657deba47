"""A trial: teacher, pruning, student, distillation. `run_trial` shows the sequence, `patiently` is what workers run."""

import platform
import time
from collections.abc import Callable, Generator
from dataclasses import replace

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.errors import StorageError, StorageFullError
from pdsearch.io import StorageAwayError, StorageDeniedError, local_folder
from pdsearch.io.durable import PAUSES_S
from pdsearch.objectives import Constraint
from pdsearch.pipeline import keys
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import dataset
from pdsearch.pipeline.distill import distilled_student
from pdsearch.pipeline.failure import HUNG, Watchdog, failure_reason, is_out_of_gpu_memory, write_log
from pdsearch.pipeline.networks import Teacher, answers_right, measure_accuracy
from pdsearch.pipeline.prune import teacher as teacher_of
from pdsearch.pipeline.student import Student, latency_of
from pdsearch.pipeline.student import student as student_of
from pdsearch.pipeline.teacher import dense_teacher
from pdsearch.protocol import LATENCY, Event, Job, Outcome, Progress, Ready
from pdsearch.records.codec import pack
from pdsearch.records.students import StudentKind
from pdsearch.specs import Json, TrialSpec

_PARTS = (1, 2, 4)
"""Number of parts a batch is split into in each attempt, once steps are no longer captured as CUDA graphs."""


def run_trial(
    spec: TrialSpec,
    site: WorkerContext,
    *,
    limits: tuple[Constraint, ...] = (),
    measures: tuple[str, ...] = (),
    test: bool = False,
    expected: StudentKind | None = None,
) -> Generator[Event, None, Outcome]:
    """Run one trial; yield its events, return its outcome.

    Args:
        spec: What to compute.
        site: Where to run it.
        limits: Constraints; those on metrics known before distillation are checked then.
        measures: Metrics to measure beside those that are always known.
        test: Whether to evaluate on the test set at the end.
        expected: The student that its teacher must leave.

    Raises:
        TrialError: The teacher leaves another one.
    """
    data = yield from dataset(spec.data, site)
    teacher = (yield from teacher_of(spec, data, site)) if keys.needs_teacher(spec) else None
    begins = keys.starting(spec)
    start = (yield from teacher_of(begins, data, site)) if spec.student.is_kept else teacher
    student = student_of(begins, data, start, site)
    if expected is not None:
        student.check_is(expected)
    facts = teacher.facts(spec) if teacher else None, student.facts()
    yield Ready(*facts, tuple(site.account.uses), dict(site.account.epochs), platform.node(), site.device)
    known = {"student.params": float(student.params), "student.flops": float(student.flops)}
    if LATENCY in measures:
        known[LATENCY] = latency_of(student, data, site)
    for limit in limits:
        if limit.metric in known and not limit.holds(known[limit.metric]):
            return Outcome("infeasible", limit.complaint(known[limit.metric]), values=known)
    taught = yield from distilled_student(spec, data, teacher, student, site)
    values = {**_measured("student", taught.val_accuracy), **known}
    tested, right = _tested(spec, data, teacher, student, site) if test else (None, None)
    return Outcome("complete", values=values, test=tested, test_right=right, student=taught.key)


def run_job(job: Job, site: WorkerContext) -> Generator[Event, None, None]:
    """Run a job to its end; yield its events, the outcome last. Errors of the job end it, but not the worker.

    Storage errors are not the trial's fault: they are raised, so that the runner retries or stops.
    """
    site.begin(job.key)
    began = time.monotonic()
    with Watchdog(local_folder(site.logs or site.progress) / f".{job.key}.hang", site.patience_s) as watchdog:
        stacks = watchdog.verdict()
        if stacks is None:
            outcome = yield from watchdog.over(_attempts(job, site))
        else:
            outcome = _hung(job, site, stacks)
    told = replace(
        outcome,
        artifacts=tuple(site.account.uses),
        epochs=dict(site.account.epochs),
        seconds=round(time.monotonic() - began, 3),
        host=platform.node(),
        device=site.device,
    )
    site.account.end()
    yield told


def _attempts(job: Job, site: WorkerContext) -> Generator[Event, None, Outcome]:
    """Run a job; if a GPU runs out of memory, run it again with less: no captured steps, then batches in parts."""
    before, captured = site.graphs, site.graphs and site.device.startswith("cuda")
    try:
        for graphs, parts in [(True, 1)] * captured + [(False, parts) for parts in _PARTS]:
            site.graphs, site.parts = graphs, parts
            try:
                outcome = yield from _perform(job, site)
            except StorageError:
                raise
            # User code may raise anything; the search continues.
            except (Exception, SystemExit) as error:
                if is_out_of_gpu_memory(error) and parts < _PARTS[-1]:
                    site.release()
                    site.account.again()
                    continue
                return Outcome("failed", failure_reason(error, site.log(job.id), job.spec))
            return outcome if parts == 1 else replace(outcome, reason=outcome.reason or _in_parts(parts))
    finally:
        site.graphs, site.parts = before, 1
    raise AssertionError("the last attempt returns")


def _perform(job: Job, site: WorkerContext) -> Generator[Event, None, Outcome]:
    keys.check_own_code(job.spec)
    if job.kind == "teacher":
        return (yield from _teacher_only(job.spec, site))
    trial = run_trial(
        job.spec, site, limits=job.limits, measures=job.measures, test=job.test, expected=job.student
    )
    return (yield from trial)


def _in_parts(parts: int) -> str:
    return f"trained with each batch in {parts} parts: the GPU's memory was full"


def _hung(job: Job, site: WorkerContext, stacks: str) -> Outcome:
    log = site.log(job.id)
    if log is not None:
        write_log(log, stacks)
    where = f" (stacks in {log.parent.name}/{log.name})" if log else ""
    return Outcome("failed", f"{HUNG}{where}")


def _teacher_only(spec: TrialSpec, site: WorkerContext) -> Generator[Progress, None, Outcome]:
    data = yield from dataset(spec.data, site)
    network = yield from dense_teacher(spec, data, site)
    return Outcome("complete", values=_measured("teacher", network.meta["val_accuracy"]))


def _measured(whose: str, accuracy: Json) -> dict[str, float]:
    """Return the validation accuracy as a metric; none without validation images."""
    return {f"{whose}.val_accuracy": accuracy} if isinstance(accuracy, float) else {}


def _tested(
    spec: TrialSpec, data: Dataset, teacher: Teacher | None, student: Student, site: WorkerContext
) -> tuple[dict[str, float], str]:
    """Return the test accuracies, and which test images the student gets right."""
    right = answers_right(student.model, data, "test", site, spec.precision).tolist()
    accuracies = {"student.accuracy": sum(right) / len(right)}
    if teacher is not None:
        name = ("test", teacher.key, spec.precision)
        teachers = site.kept.get(
            name, lambda: (measure_accuracy(teacher.model, data, "test", site, spec.precision), 8)
        )
        accuracies["teacher.accuracy"] = teachers
    return accuracies, pack(right)


def patiently(
    job: Job,
    site: WorkerContext,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event, None, None]:
    """Run a job; on a storage error, wait and run it again. A second run repeats the events of the first.

    Raises:
        StorageFullError: At once, since waiting frees no space.
        StorageAwayError: At once, since every call to an object storage has been retried already.
        StorageDeniedError: At once, since waiting grants no permission.
        StorageError: The storage failed every time.
    """
    for pause in (*PAUSES_S, None):
        try:
            yield from run_job(job, site)
            return
        except (StorageFullError, StorageAwayError, StorageDeniedError):
            raise
        except StorageError as error:
            if pause is None:
                raise
            yield Progress("storage", note=f"{error.what}; trying again in {pause:g} s")
            sleep(pause)
