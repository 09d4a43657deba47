"""What becomes of memory that a training step frees? The process keeps it for the next step."""

import ctypes
from contextlib import suppress

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""

KEPT_BYTES = 2**30
LARGEST_KEPT_BYTES = 2**26


def keep_freed_memory() -> None:
    """Let this process keep what it frees: up to 1 GiB, in blocks of less than 64 MiB; larger ones go back at once.

    Without it, glibc gives the activations of a CPU's training step back to the system at the end of the step and
    asks for them again in the next, page by page: a twentieth of ResNet-8's time. Nothing is computed otherwise. Where
    the C library is another one, nothing happens.
    """
    with suppress(OSError, AttributeError):  # No such library, or no such function: not glibc.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
