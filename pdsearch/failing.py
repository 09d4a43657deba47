"""Why did a trial fail, in a line for its record, and where does the rest stand? Its log, beside the records."""

import traceback

from pdsearch.redaction import redacted
from pdsearch.storage import Place, replace

__all__ = ["is_out_of_gpu_memory", "reason", "write_log"]


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Say whether an error means that a GPU's memory is full."""
    import torch  # Whoever gets here has loaded it.

    return isinstance(error, torch.OutOfMemoryError)


def reason(error: BaseException, log: Place | None) -> str:
    """Return why a trial failed, and write the traceback to its log.

    Args:
        error: What was raised.
        log: The trial's log file; None keeps no traceback.
    """
    if log is not None:
        write_log(log, "".join(traceback.format_exception(error)))
    where = f" (traceback in {log.parent.name}/{log.name})" if log else ""
    return f"{redacted(_words(error))}{where}"


def write_log(log: Place, text: str) -> None:
    """Write a trial's log, whatever stood there.

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
    return f"{type(error).__name__}: {error}"
