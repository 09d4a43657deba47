"""What does Ctrl-C do? The first lets running trials save their progress, the second ends at once.

SIGTERM counts as a Ctrl-C. Further ones are not heard, to the end of the process: they would cut off the ending of
other processes and the removal of temporary files.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pdsearch.errors import Interrupted, Terminated

__all__ = ["interruptible"]


@contextmanager
def interruptible(drain: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Run a block whose first interruption drains it; afterwards the process has to end.

    Args:
        drain: Called at the first signal; the block then ends by itself, soon.
        say: Tells the person what happens.

    Raises:
        Interrupted: The block was drained, or ended at once by a second signal; raised when it has ended.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - Python's signature
        received.append(number)
        if len(received) == 1:
            say("stopping: running trials save their progress (again to stop at once)")
            drain()
        elif len(received) == 2:
            say("stopping at once")
            raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        if not received:
            raise
    finally:
        for number, handler in before.items():
            # Whoever was asked to stop is about to end; Ray for one does some of it when Python exits.
            signal.signal(number, signal.SIG_IGN if received else handler)
    if received:
        kind = Terminated if received[0] == signal.SIGTERM else Interrupted
        words = "stopped; nothing finished is lost"
        if len(received) > 1:
            words += ", and running trials go on from their last checkpoint"
        raise kind(words, hint="run the same command to go on")
