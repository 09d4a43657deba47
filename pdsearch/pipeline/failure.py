"""Reasons of failed trials: one line for the record, the traceback in a log beside the records."""

import errno
import re
import traceback

from pdsearch.io import Place, replace
from pdsearch.redaction import redacted
from pdsearch.user_code import user_lines

HUNG = "hung: no sign of life for search.trial_timeout"

_OF_MACHINES = (
    errno.EIO,
    errno.ENOMEM,
    errno.ENFILE,
    errno.EMFILE,
    errno.ENOSPC,
    errno.EROFS,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ESTALE,
    errno.EDQUOT,
)
_INFRASTRUCTURE = re.compile(
    r"it lost \d+ workers|its worker was lost|hung: |out of memory|out of GPU memory"
    r"|(Connection\w*|Timeout|BrokenPipe)Error: "
    rf"|\w+: \[Errno ({'|'.join(map(str, _OF_MACHINES))})\]"
    # Torch's messages, which follow the name of the error.
    r"|\w+: .*(allocate memory|No space left on device|CUBLAS_STATUS_ALLOC_FAILED"
    r"|CUDA error: (out of memory|uncorrectable ECC|all CUDA-capable devices are busy))",
    re.DOTALL,
)
"""Beginnings of reasons that blame the machine, in this version and in earlier ones."""

_WHERE = re.compile(r" \((traceback|stacks) in [^)]*\)$")
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def is_infrastructure(reason: str) -> bool:
    """Return whether a trial failed because of its machine: lost workers, a hang, full memory or disk, the network."""
    return _INFRASTRUCTURE.match(reason) is not None


def is_same_error(one: str, other: str) -> bool:
    """Return whether two reasons are equal up to numbers and the name of the log."""
    return _kind(one) == _kind(other)


def _kind(reason: str) -> str:
    return _NUMBER.sub("#", _WHERE.sub("", reason))


def lost_workers(number: int, why: str) -> str:
    """Return the reason for a trial that lost this number of workers in a row."""
    return f"it lost {number} workers in a row, without a step ahead: {why}"


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Return whether an error means that a GPU's memory is full."""
    import torch  # Already imported by any caller.

    return isinstance(error, torch.OutOfMemoryError)


def reason(error: BaseException, log: Place | None) -> str:
    """Return the reason of a failure, and write the traceback to the trial's log.

    Args:
        error: The error raised.
        log: The trial's log file; None discards the traceback.
    """
    if log is not None:
        write_log(log, "".join(traceback.format_exception(error)))
    where = f" (traceback in {log.parent.name}/{log.name})" if log else ""
    return f"{redacted(_words(error))}{where}"


def write_log(log: Place, text: str) -> None:
    """Write a trial's log, replacing an earlier one.

    Raises:
        StorageError: It cannot be written.
    """
    replace(log, redacted(text).encode("utf-8", errors="replace"))


def _words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, MemoryError):
        return "out of memory"
    if is_out_of_gpu_memory(error):
        return "out of GPU memory, with a quarter of the batch at a time too"
    lines = user_lines(error)
    return f"{type(error).__name__}: {error}" + (f" ({lines[-1]})" if lines else "")
