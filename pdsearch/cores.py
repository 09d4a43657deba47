"""The number of CPU cores this process may use."""

import os

__all__ = ["cores"]


def cores() -> int:
    """Return the number of cores of this machine that the process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
