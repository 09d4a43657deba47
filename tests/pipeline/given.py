"""Work that is a list of jobs, for tests of whoever runs them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pdsearch.protocol import Event, Job, Outcome


@dataclass
class Given:
    """Jobs to run, and what was heard of them.

    Args:
        jobs: In their order.
        closing: What runs is to be closed.
        stops: Says after which event a job is stopped.
    """

    jobs: list[Job]
    stops: Callable[[Job, Event], bool] = lambda _job, _event: False
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    told: dict[str, list[Event]] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    working: set[str] = field(default_factory=set)
    closing: bool = False

    @property
    def done(self) -> bool:
        return (not self.jobs or self.closing) and not self.running

    def next(self) -> Job | None:
        if not self.jobs or self.closing:
            return None
        job = self.jobs.pop(0)
        self.running.add(job.id)
        return job

    def busy(self, job: Job, is_busy: bool) -> None:
        assert job.id in self.running
        self.working.add(job.id) if is_busy else self.working.discard(job.id)

    def tell(self, job: Job, event: Event) -> bool:
        assert job.id in self.running
        self.told.setdefault(job.id, []).append(event)
        return self.stops(job, event)

    def finish(self, job: Job, outcome: Outcome) -> None:
        self.running.remove(job.id)
        self.working.discard(job.id)
        assert job.id not in self.outcomes
        self.outcomes[job.id] = outcome
