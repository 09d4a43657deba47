"""Signals that end a run: Ctrl-C, SIGTERM, SIGHUP and SIGUSR1, each with its own exit code.

The first one makes running trials save their progress, or ends a run without trials at once; a second one ends it at
once, and so does a timeout, since the sender of such a signal kills soon after. Further ones are ignored until the
process ends: they would interrupt the ending of other processes and the removal of temporary files.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from pdsearch.errors import HungUp, Interrupted, Terminated, Warned

_KINDS: dict[int, type[Interrupted]] = {
    signal.SIGINT: Interrupted,
    signal.SIGTERM: Terminated,
    signal.SIGHUP: HungUp,
    signal.SIGUSR1: Warned,
}

_DRAIN_WITHIN_S = 10.0
"""Seconds for trials to save their progress; one that has not by then resumes from its last checkpoint."""

_END_WITHIN_S = 17.0
"""Seconds after which the process exits in any case: it may wait outside Python, where no signal is handled."""

_SAME_S = 1.0
"""Seconds within which signals of programs are one request: `timeout` sends its own to the program and to its group,
systemd may send SIGHUP after SIGTERM. Ctrl-C pressed twice is always two."""

_AGAIN = "run the same command to go on"


class Stop:
    """The signals that a run has received. Invariant: they drain it at most once, then raise at most once.

    Args:
        say: Tells the user what happens.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.received: list[int] = []
        self._say = say
        self._drain: Callable[[], None] | None = None
        self._at, self._late, self._over = 0.0, False, False
        self._ended = threading.Event()

    @contextmanager
    def draining(self, drain: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
        """Have the first signal drain the block instead of ending it.

        Args:
            drain: Called at the first signal; the block then ends by itself, soon.
            say: Tells the user what happens.
        """
        self._drain, self._say, before = drain, say, self._say
        try:
            yield
        finally:
            self._drain, self._say, self._over = None, before, self._over or bool(self.received)
        if self.received:
            raise KeyboardInterrupt

    def hear(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - Python's signature
        """Handle a signal."""
        if self._over:
            return
        if not self.received:
            self.received, self._at = [number], time.monotonic()
            if self._drain is not None and not self._late:
                self._tell("stopping: running trials save their progress (again to stop at once)")
                self._drain()
                return
        elif not self._late and number != signal.SIGINT and time.monotonic() - self._at < _SAME_S:
            return
        else:
            self.received.append(number)
            self._tell("stopping at once")
        self._over = True
        raise KeyboardInterrupt

    def error(self) -> Interrupted | None:
        """Return the error that a stopped run ends with; None where no signal came."""
        if not self.received:
            return None
        cut = (
            ", and running trials go on from their last checkpoint" if self._late or self.received[1:] else ""
        )
        return _KINDS[self.received[0]](f"stopped; nothing finished is lost{cut}", hint=_AGAIN)

    def watch(self, wakeup: int) -> None:
        """Enforce the time limits from the first signal on, in a thread: the main one may be unable to handle signals.

        Args:
            wakeup: File descriptor to which Python writes each signal that it receives.
        """
        number = next((byte for byte in iter(lambda: _byte(wakeup), None) if byte in _KINDS), None)
        if number is None or self._ended.wait(_DRAIN_WITHIN_S):
            return
        self._late = True
        signal.pthread_kill(threading.main_thread().ident or 0, number)
        if not self._ended.wait(_END_WITHIN_S - _DRAIN_WITHIN_S):
            kind = _KINDS[number]
            self._tell(str(kind("stopped, in the middle of something that did not end", hint=_AGAIN)))
            os._exit(kind.exit_code)

    def end(self) -> None:
        """Record that the run has ended: signals are ignored from now on."""
        self._over = True
        self._ended.set()

    def _tell(self, text: str) -> None:
        try:
            self._say(text)
        except RuntimeError:  # The signal came in the middle of a write, which cannot be entered again.
            with suppress(OSError):
                os.write(2, f"{text}\n".encode())
        except (OSError, ValueError):
            pass  # Its terminal is gone.


@contextmanager
def stoppable(say: Callable[[str], None]) -> Iterator[Stop]:
    """Run a block that signals can end; after one the process must exit. SIGHUP stays ignored where it is (nohup).

    Args:
        say: Tells the user what happens.

    Raises:
        Interrupted: A signal came; raised when the block has ended, drained or at once.
    """
    stop = Stop(say)
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python handles signals in the main thread alone.
        return
    numbers = [number for number in _KINDS if not _ignored(number)]
    heard, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    watching = threading.Thread(target=stop.watch, args=(heard,), daemon=True, name="signals")
    watching.start()
    former = signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    before = {number: signal.signal(number, stop.hear) for number in numbers}
    try:
        try:
            yield stop
        finally:
            stop.end()
    except KeyboardInterrupt:
        if not stop.received:
            raise
    finally:
        stop.end()
        for number, handler in before.items():
            # A stopped process is about to exit and must not be interrupted then: Ray, for one, cleans up at exit.
            signal.signal(number, signal.SIG_IGN if stop.received else handler)
        signal.set_wakeup_fd(former)
        os.close(wakeup)
        watching.join()
        os.close(heard)
    error = stop.error()
    if error is not None:
        raise error


def _ignored(number: int) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def _byte(source: int) -> int | None:
    read = os.read(source, 1)
    return read[0] if read else None
