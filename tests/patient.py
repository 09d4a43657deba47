"""Waiting for a condition in tests, with limits that hold on a busy machine."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 900.0
"""Bounds a hang, not work: below the time-out of a test, and fifty times what a quiet machine takes."""


def until(
    condition: Callable[[], object],
    *,
    within: float = PATIENCE_S,
    pause: float = 0.02,
    driver: "subprocess.Popen[bytes] | None" = None,
    said: Path | None = None,
) -> None:
    """Wait for a condition to hold.

    Args:
        condition: What is waited for.
        within: Seconds after which the test fails.
        pause: Seconds between two looks.
        driver: A process that is to bring it about: the test fails as soon as it has ended.
        said: The file of what the process printed, for the message.
    """
    last = time.monotonic() + within
    while not condition():
        printed = said.read_text() if said is not None else ""
        assert driver is None or driver.poll() is None, f"ended with {driver.returncode}: {printed}"
        assert time.monotonic() < last, f"not within {within:g} s: {printed}"
        time.sleep(pause)
