"""Waiting for a condition in tests, with limits that hold on a busy machine."""

import time
from collections.abc import Callable

__all__ = ["PATIENCE_S", "until"]

PATIENCE_S = 240.0
"""Below the time-out of a test; a quiet machine takes seconds."""


def until(condition: Callable[[], object], *, within: float = PATIENCE_S, pause: float = 0.02) -> None:
    """Wait for a condition to hold; fail where it does not within so many seconds."""
    last = time.monotonic() + within
    while not condition():
        assert time.monotonic() < last, f"not within {within:g} s"
        time.sleep(pause)
