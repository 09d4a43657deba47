"""What does Ctrl-C do? The first lets running trials save their progress, the second ends at once.

SIGTERM counts as a Ctrl-C.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pdsearch.errors import Interrupted, Terminated

__all__ = ["interruptible"]


@contextmanager
def interruptible(drain: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Run a block whose first interruption drains it.

    Args:
        drain: Called at the first signal; the block then ends by itself, soon.
        say: Tells the person what happens.

    Raises:
        Interrupted: The block was drained; raised when it has ended.
        KeyboardInterrupt: At the second signal.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - Python's signature
        if received:
            raise KeyboardInterrupt
        received.append(number)
        say("stopping: running trials save their progress (again to stop at once)")
        drain()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        kind = Terminated if received[0] == signal.SIGTERM else Interrupted
        raise kind("stopped; nothing finished is lost", hint="run the same command to go on")
