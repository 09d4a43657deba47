"""Records of trials: *asked* is written before a trial starts, *finished* when it ends; both are immutable.

The study can be rebuilt from them, and analysis reads nothing else. `pdsearch.records.trial_record` has their fields,
which docs/records.md describes.
"""

import dataclasses
import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from pdsearch.errors import StorageError
from pdsearch.io import Place, rename
from pdsearch.io.record_files import (
    BrokenRecord,
    failed_tries,
    read_asked,
    read_finished,
    read_retries,
    read_set_aside,
    write_once,
)
from pdsearch.objectives import Aims
from pdsearch.pipeline.keys import config_key
from pdsearch.protocol import Event, Job, Outcome, Ready, Report
from pdsearch.records.study_record import UNKNOWN_SPACE, StudySpace
from pdsearch.records.trial_record import (
    AskedRecord,
    Cost,
    Kind,
    RetryRecord,
    State,
    TrialRecord,
    counted,
    record_to_json,
)
from pdsearch.search.resolved import Description


def now() -> str:
    """Return the time as ISO 8601 text, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Live:
    """A running job and its events so far."""

    job: Job
    ready: Ready | None = None
    reports: list[Report] = field(default_factory=list)
    started_at: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)

    def note(self, event: Event) -> bool:
        """Keep an event for the record; return False for a repeated epoch: the job lost its worker and began again."""
        if isinstance(event, Ready):
            self.ready = event
        elif isinstance(event, Report):
            if event.epoch <= len(self.reports):
                return False
            self.reports.append(event)
        return True

    def settled(self, outcome: Outcome) -> Outcome:
        """Return the final outcome: fill in a stopped trial's values, fail non-finite ones, apply the constraints."""
        if outcome.state == "stopped":
            return self._stopped(outcome)
        bad = [name for name, value in outcome.values.items() if not math.isfinite(value)]
        if bad and outcome.state == "complete":
            return dataclasses.replace(
                outcome, state="failed", reason=f"{bad[0]} is not a finite number", values={}
            )
        state, reason = Aims(constraints=self.job.limits).verdict(
            outcome.state, outcome.values, outcome.reason
        )
        return dataclasses.replace(outcome, state=state, reason=reason)

    def _stopped(self, outcome: Outcome) -> Outcome:
        """Return what the driver knows of a trial it stopped: the worker is not asked."""
        ready = self.ready
        return dataclasses.replace(
            outcome,
            values=self._values(),
            artifacts=ready.artifacts if ready else (),
            epochs={**(ready.epochs if ready else {}), "distill": len(self.reports)},
            seconds=round(time.monotonic() - self.began, 3),
            host=ready.host if ready else "",
            device=ready.device if ready else "",
        )

    def _values(self) -> dict[str, float]:
        student = self.ready and self.ready.student
        known = {"params": student.params, "flops": student.flops} if student else {}
        values = {f"student.{name}": float(value) for name, value in known.items() if value is not None}
        accuracies = [report.val_accuracy for report in self.reports if report.val_accuracy is not None]
        if not accuracies:
            return values
        best = self.job.spec.distill.recipe.select == "best_val"
        return {"student.val_accuracy": max(accuracies) if best else accuracies[-1], **values}


class Records:
    """The records of one study, by trial id, as they count (`counted`); opening them changes nothing.

    `broken` lists the files that are not valid records.
    """

    def __init__(self, folder: Place, space: StudySpace = UNKNOWN_SPACE) -> None:
        self.folder = folder
        asked, finished, wanted = (
            read_asked(folder, space),
            read_finished(folder, space),
            read_retries(folder),
        )
        self.retries = set(wanted.found)
        self.asked, self.finished = dict(asked.found), counted(finished.found, self.retries)
        self.broken = (*asked.broken, *finished.broken, *wanted.broken)
        # A failed trial may have been tried again: the twin is the one that did not fail.
        failed_first = sorted(self.finished.items(), key=lambda item: item[1].state != "failed")
        self._by_key: dict[tuple[str, str], str] = {
            (record.kind, record.key): name for name, record in failed_first
        }

    def mend(self, say: Callable[[str], None]) -> None:
        """Set invalid records aside: their trials are asked again, and reuse their artifacts instead of training.

        Raises:
            StorageError: A newer version wrote one, or the storage cannot be written.
        """
        for broken in self.broken:
            if broken.newer:
                raise StorageError(
                    broken.reason, where=str(broken.path), hint="go on with that version, or a newer one"
                )
            say(f"{broken}; it is kept as {_set_aside(broken)}, and what it stood for is done again")
        self.broken = ()

    def twin(self, job: Job) -> str | None:
        """Return the id of a finished job of the same kind and key, if there is one."""
        return self._by_key.get((job.kind, job.key))

    def failed_only(self, job: Job) -> bool:
        """Return whether a job's twins have all failed, so that it may be retried."""
        twin = self.twin(job)
        return twin is not None and self.finished[twin].state == "failed"

    def ask(self, job: Job) -> None:
        """Write that a job is about to start; a job asked again keeps its first record."""
        if job.id not in self.asked:
            record = AskedRecord(**_identity(job), asked_at=now())
            self._write(f"{job.id}.asked.json", record)
            self.asked[job.id] = record

    def retry(self, name: str) -> bool:
        """Write that a trial is to be tried again, and counts no more; False if that was written before."""
        if name in self.retries:
            return False
        path = self.folder / f"{name}.retry.json"
        for broken in self.broken:
            if broken.path == path:
                _set_aside(broken)
        self._write(path.name, RetryRecord(id=name, wanted_at=now()))
        self.retries.add(name)
        self.finished |= counted({name: self.finished[name]}, self.retries)
        return True

    def set_aside(self, name: str) -> None:
        """Rename the record of a listed job, so that the job runs again under its name."""
        number = len(failed_tries(self.folder, name)) + 1
        rename(self.folder / f"{name}.finished.json", f"{name}.failed-{number}.json")
        record = self.finished.pop(name)
        self._by_key.pop((record.kind, record.key), None)

    def earlier_tries(self, name: str) -> list[TrialRecord]:
        """Return the failed tries of a listed job that were set aside, oldest first."""
        return [record for record in read_set_aside(self.folder, name) if record.state == "failed"]

    def finish(self, live: Live, outcome: Outcome, describe: Description) -> TrialRecord:
        """Write how a job ended and return the record."""
        job, ready = live.job, live.ready
        record = TrialRecord(
            **_identity(job),
            config=config_key(job.spec),
            state=cast("State", outcome.state),
            reason=outcome.reason,
            reports=tuple(live.reports),
            values=dict(outcome.values),
            test=None if outcome.test is None else dict(outcome.test),
            test_right=outcome.test_right,
            teacher=ready.teacher if ready else None,
            student=dataclasses.replace(ready.student, artifact=outcome.student) if ready else None,
            baselines=dict(job.baselines),
            artifacts=tuple(outcome.artifacts),
            cost=Cost(outcome.seconds, dict(outcome.epochs)),
            host=outcome.host,
            device=outcome.device,
            versions=dict(describe.versions),
            started_at=live.started_at,
            finished_at=now(),
        )
        self._write(f"{job.id}.finished.json", record)
        self.finished[job.id] = record
        self._by_key[job.kind, job.key] = job.id
        return record

    def _write(self, name: str, record: AskedRecord | TrialRecord | RetryRecord) -> None:
        write_once(self.folder / name, record_to_json(record))


class UnwrittenRecords(Records):
    """The records of a simulated study, in memory alone; those it begins with are not changed."""

    def __init__(self, begins: Records | None = None) -> None:
        self.asked = dict(begins.asked) if begins else {}
        self.finished = dict(begins.finished) if begins else {}
        self.retries, self.broken = set(begins.retries) if begins else set(), ()
        self._by_key = dict(begins._by_key) if begins else {}

    def _write(self, name: str, record: AskedRecord | TrialRecord | RetryRecord) -> None: ...


def _set_aside(broken: BrokenRecord) -> str:
    name = f"{broken.path.name}.{uuid.uuid4().hex[:8]}.broken"
    rename(broken.path, name)
    return name


def _identity(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": cast("Kind", job.kind),
        "number": job.number,
        "key": job.key,
        "params": dict(job.params),
        "spec": job.spec,
    }
