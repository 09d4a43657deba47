"""A wrapper of the agenda for Tune: an error ends the run and is kept until Tune has ended."""

from pdsearch.protocol import Event, Job, Outcome, Work


class Guarded:
    """Work that never raises: after an error it has no more jobs and closes the running ones.

    Tune would wrap an error in its own, or go on with trials whose results are lost.

    Args:
        work: The agenda.

    Attributes:
        error: The first error, for the caller to raise when Tune has ended.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.error: Exception | None = None

    def give_up(self, error: Exception) -> None:
        """End the run with an error; the first one counts."""
        self.error = self.error or error

    @property
    def done(self) -> bool:
        """Whether nothing is left to start and nothing is running, or an error ended the run."""
        return self.error is not None or self._work.done

    @property
    def closing(self) -> bool:
        """Whether running jobs are to be closed."""
        return self.error is not None or self._work.closing

    def next(self) -> Job | None:
        """Return the next job, or None."""
        if self.error is None:
            try:
                return self._work.next()
            except Exception as error:
                self.error = error
        return None

    def busy(self, job: Job, is_busy: bool) -> None:
        """Pass on that a worker begins with a job, or that the job has lost it."""
        if self.error is None:
            try:
                self._work.busy(job, is_busy)
            except Exception as error:
                self.error = error

    def tell(self, job: Job, event: Event) -> bool:
        """Pass on an event of a running job; True asks the runner to close it."""
        if self.error is None:
            try:
                return self._work.tell(job, event)
            except Exception as error:
                self.error = error
        return True

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Pass on a job's outcome; after an error it is dropped, as if the run had been killed then."""
        if self.error is None:
            try:
                self._work.finish(job, outcome)
            except Exception as error:
                self.error = error
