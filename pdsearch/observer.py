"""Observers: whoever follows a run hears what happens in it, and changes nothing of it."""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from pdsearch.errors import ConfigError
from pdsearch.protocol import Event, Job, Outcome
from pdsearch.records.trial_record import TrialRecord
from pdsearch.user_code import load_dotted, place_of


class Observer:
    """Hears what happens in a run; derive from it and write those methods that you need, the others do nothing.

    They are called in the process of the run, never two at a time, and the run waits for each: what takes long belongs
    into a thread. Several trials may be running, so an event comes with its job. A run that goes on with a study calls
    `opened` with what is finished; a trial that was interrupted goes on as another job, with the reports that are new.

    An error that an observer raises is said, with its line, and that observer hears nothing more; the run goes on.
    """

    def opened(self, finished: Iterable[TrialRecord]) -> None:
        """The study is open; these trials were finished in earlier runs."""

    def phase(self, name: str, total: int, done: int) -> None:
        """A phase begins ("search", "confirmation", ...): so many jobs in all, so many of them done before."""

    def started(self, job: Job) -> None:
        """A job starts: `job.id` is its name, `job.params` what was sampled, `job.spec` all that it computes with."""

    def event(self, job: Job, event: Event) -> None:
        """A running job reports an event: `Report` is an epoch of its student, `Progress` one of a stage before."""

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """A job ended; `record` is its record as stored, or None for the training of a teacher."""

    def say(self, text: str) -> None:
        """There is a message for the user."""

    def close(self) -> None:
        """The run ends, however it ends; this is the last call."""


class Observers(Observer):
    """Several observers as one.

    Args:
        shown: The program's own, whose errors end the run.
        others: The user's, of which each is left out from its first error on.
        broken: Called with a message where that happens.
    """

    def __init__(self, shown: Observer, others: Sequence[Observer], broken: Callable[[str], None]) -> None:
        self._shown, self._others, self._broken = shown, list(others), broken
        self._lock = threading.RLock()  # A signal's message may come in the middle of a call.

    def opened(self, finished: Iterable[TrialRecord]) -> None:
        """Tell all."""
        self._tell("opened", tuple(finished))

    def phase(self, name: str, total: int, done: int) -> None:
        """Tell all."""
        self._tell("phase", name, total, done)

    def started(self, job: Job) -> None:
        """Tell all."""
        self._tell("started", job)

    def event(self, job: Job, event: Event) -> None:
        """Tell all."""
        self._tell("event", job, event)

    def ended(self, job: Job, outcome: Outcome, record: TrialRecord | None) -> None:
        """Tell all."""
        self._tell("ended", job, outcome, record)

    def say(self, text: str) -> None:
        """Tell all."""
        self._tell("say", text)

    def close(self) -> None:
        """Tell all."""
        self._tell("close")

    def _tell(self, what: str, *about: object) -> None:
        with self._lock:
            getattr(self._shown, what)(*about)
            for one in tuple(self._others):
                try:
                    getattr(one, what)(*about)
                except (
                    Exception
                ) as error:  # It is the user's and may raise anything; trials do not end by it.
                    with suppress(ValueError):
                        self._others.remove(one)
                    self._broken(
                        f"the observer {type(one).__name__} failed in {what!r} and hears nothing more:"
                        f" {type(error).__name__}: {error}{place_of(error)}"
                    )


def load_observer(name: str, space: object) -> Observer:
    """Return the observer that a class or function of the user's makes of a space.

    Args:
        name: `package.module:Name`; it is called with the space.
        space: The `Space` that is run.

    Raises:
        ConfigError: There is none of that name, or it makes no observer.
    """
    try:
        made = load_dotted(name)(space)
    except ConfigError:
        raise
    except Exception as error:  # The user's code may raise anything.
        hint = "it is called with the space and returns an observer"
        raise ConfigError(f"{name} failed: {type(error).__name__}: {error}", hint=hint) from error
    if not isinstance(made, Observer):
        raise ConfigError(
            f"{name} returned {type(made).__name__}, which is no observer",
            hint="derive from pdsearch.Observer",
        )
    return made
