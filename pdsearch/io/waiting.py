"""Messages to the user while an object storage does not answer, and when it answers again."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE_S = 3.0
"""Shorter outages are not reported: an object storage fails now and then."""


class Waiting:
    """Whether this process's storage answers, as reported by any of its threads.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._since: float | None = None
        self._told = False
        self.say: Callable[[str], None] | None = None

    def refused(self, began: float, where: str) -> None:
        """Record that a call got no answer.

        Args:
            began: When the call was made, on the clock.
            where: The storage that was called.
        """
        with self._lock:
            self._since = began if self._since is None else min(self._since, began)
            if self.say is None or self._told or self._clock() - self._since < _PATIENCE_S:
                return
            self._told, say = True, self.say
        say(f"waiting for the storage: it does not answer ({where})")

    def answered(self) -> None:
        """Record that a call got an answer."""
        if self._since is None:  # The usual case, without a lock.
            return
        with self._lock:
            since, told, say = self._since, self._told, self.say
            self._since, self._told = None, False
        if told and say is not None and since is not None:
            say(f"the storage answers again, after {self._clock() - since:.0f} s")


waiting = Waiting()
"""The instance of this process. In workers it prints nothing: the driver, which renews its lease, notices as well."""


@contextmanager
def telling(say: Callable[[str], None]) -> Iterator[None]:
    """Report to the user through `say` while the block runs."""
    waiting.say = say
    try:
        yield
    finally:
        waiting.say = None
