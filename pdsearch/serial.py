"""Runner of a study's jobs in this process, without Ray: for debugging, fault tests and machines without Ray."""

from contextlib import closing

from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.trial import patiently
from pdsearch.protocol import Job, Outcome, Work


def run(work: Work, site: WorkerContext) -> None:
    """Run all of a study's work, one job after another."""
    while (job := work.next()) is not None:
        work.busy(job, True)
        work.finish(job, _outcome(job, work, site))


def _outcome(job: Job, work: Work, site: WorkerContext) -> Outcome:
    with closing(patiently(job, site)) as events:
        for event in events:
            if isinstance(event, Outcome):
                return event
            if work.tell(job, event):
                break
    return Outcome("stopped")
