"""Watchdog that ends a worker whose trial hangs, and writes the stacks to disk.

A Python thread would not do: code that hangs inside a library may hold the interpreter's lock. The timer of
faulthandler needs no lock, writes the stack of every thread, and ends the process. Without the lock it may read a
frame that is just being replaced (in a trial that is slow, not stuck) and crash: that ends the process too, and since
the first line is on disk by then, the trial's verdict is the same.
"""

import faulthandler
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from pdsearch.io.durable import storage_errors

E = TypeVar("E")
T = TypeVar("T")


class Watchdog:
    """Watches one trial. Invariant: the timer runs only while the trial does, not while its consumer does.

    Args:
        path: File for the stacks; if it exists and is not empty, the trial hung before.
        seconds: Time between two events after which the trial counts as hung; None disables the watchdog.
    """

    def __init__(self, path: Path, seconds: float | None) -> None:
        self._path, self._seconds = path, seconds
        self._file: IO[str] | None = None

    def __enter__(self) -> "Watchdog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop watching; a trial that reaches this point did not hang."""
        if self._file is not None:
            self._file.close()
            self._path.unlink(missing_ok=True)

    def verdict(self) -> str | None:
        """Return the stacks from an earlier hang of the trial, once; None if it did not hang."""
        with storage_errors(self._path):
            try:
                stacks = self._path.read_text(errors="replace")
                self._path.unlink()
            except FileNotFoundError:
                return None
        return stacks or None

    def over(self, events: Generator[E, None, T]) -> Generator[E, None, T]:
        """Pass on a trial's events, with a time limit for each."""
        try:
            while True:
                self._arm()
                try:
                    event = next(events)
                except StopIteration as end:
                    result: T = end.value
                    return result
                finally:
                    faulthandler.cancel_dump_traceback_later()
                yield event
        finally:
            events.close()

    def _arm(self) -> None:
        if self._seconds is None:
            return
        if self._file is None:
            with storage_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("w")
        faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._file)
