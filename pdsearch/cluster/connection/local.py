"""A local Ray for one run, started and ended through the supervisor process that owns it."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdsearch.cluster.connection import supervisor
from pdsearch.cluster.connection.supervisor import BLOCKED, LOG, end_session, remove_folder
from pdsearch.cluster.connection.temporary import make_folder
from pdsearch.errors import ClusterError

_STARTS = 3
"""Attempts to start Ray; on a busy machine its processes may take longer than it waits for them."""

_START_WITHIN_S = 120.0
"""Timeout in seconds of each attempt; Ray itself gives up sooner."""

_END_WITHIN_S = 15.0
_HEAD = Path(__file__).with_name("head.py")


class LocalRay:
    """A Ray in its own process session. Invariant: from `start` to `end`, a pipe held by this process keeps it alive.

    Args:
        folder: For all its files; removed by `end`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, cpus: int, *, shows_lines: bool) -> None:
        """Start Ray and wait until it is up.

        Args:
            cpus: CPUs for trials.
            shows_lines: Forward the workers' output to the driver.

        Raises:
            ClusterError: It did not start.
        """
        head = [sys.executable, "-P", str(_HEAD), str(self.folder), str(cpus), str(int(shows_lines))]
        words = [sys.executable, "-I", "-S", supervisor.__file__, str(self.folder), str(os.getpid()), *head]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)  # The child inherits the signal mask.
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.address = self._told(self._process)

    def end(self) -> None:
        """End all of its processes and remove its folder."""
        if self._process is None:
            remove_folder(self.folder)
            return
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):  # The supervisor has ended already.
            # To close the pipe is not enough: a process forked from this one may hold it open.
            os.write(self._process.stdin.fileno(), b".")
        for stream in (self._process.stdin, self._process.stdout):
            stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_WITHIN_S)
        if self._process.returncode != 0:  # It hangs, or was killed itself.
            self._process.kill()
            end_session(self._process.pid)
            remove_folder(self.folder)
            self._process.wait()

    def _told(self, process: "subprocess.Popen[bytes]") -> str:
        """Return the address that the head process prints."""
        assert process.stdout is not None
        stream, said, until = process.stdout.fileno(), b"", time.monotonic() + _START_WITHIN_S
        while not said.endswith(b"\n"):
            if not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
                raise _unstarted(f"it was not up within {_START_WITHIN_S:g} s")
            more = os.read(stream, 1024)
            if not more:
                raise _unstarted(self._last_words())
            said += more
        return said.decode().strip()

    def _last_words(self) -> str:
        """Return the last line of Ray's start log, as the reason why it did not start."""
        with suppress(OSError):
            lines = (self.folder / LOG).read_text(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return "it said nothing"


@contextmanager
def local_ray(cpus: int, *, shows_lines: bool) -> Iterator[LocalRay]:
    """Run a local Ray while the block runs.

    Args:
        cpus: CPUs for trials.
        shows_lines: Forward the workers' output to the driver.

    Raises:
        ClusterError: It did not start in any attempt.
    """
    for left in reversed(range(_STARTS)):
        ray = LocalRay(make_folder())
        try:
            try:
                ray.start(cpus, shows_lines=shows_lines)
            except ClusterError:
                if not left:
                    raise
                continue
            yield ray
            return
        finally:
            ray.end()


def _unstarted(reason: str) -> ClusterError:
    hint = "the machine may be too busy: run the same command again, or with --serial"
    return ClusterError(f"Ray did not start: {reason}", hint=hint)
