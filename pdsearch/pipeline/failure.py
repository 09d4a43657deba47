"""Reasons of failed trials, one line for the record and a traceback in a log beside it; the watchdog of stuck ones.

Where an error comes from own code, the reason names the field that names it.
"""

import errno
import faulthandler
import os
import re
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from types import CodeType, TracebackType
from typing import IO, TypeVar

from pdsearch.distillation.registry import losses
from pdsearch.errors import PdsearchError, redacted
from pdsearch.io import Place, replace
from pdsearch.io.durable import storage_errors
from pdsearch.models import models
from pdsearch.pruning.registry import methods
from pdsearch.registry import AnyRegistry
from pdsearch.specs import TrialSpec
from pdsearch.user_code import causes, place_of, source_file, user_lines

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
    r"((\S.* key )?[\w.]+: \S+( or [\w.]+: \S+)* fails: )?("  # A part of the user's that met it.
    r"it lost \d+ workers|its worker was lost|hung: |out of memory|out of GPU memory"
    r"|(Connection\w*|Timeout|BrokenPipe)Error: "
    rf"|\w+: \[Errno ({'|'.join(map(str, _OF_MACHINES))})\]"
    # Torch's messages, which follow the name of the error.
    r"|\w+: .*(allocate memory|No space left on device|CUBLAS_STATUS_ALLOC_FAILED"
    r"|CUDA error: (out of memory|uncorrectable ECC|all CUDA-capable devices are busy)))",
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


def failure_reason(error: BaseException, log: Place | None, spec: TrialSpec) -> str:
    """Return the reason of a failure, and write the traceback to the trial's log, unless the message says it all.

    Args:
        error: The error raised.
        log: The trial's log file; None discards the traceback.
        spec: The trial: own code of it that fails is named with its field.
    """
    if isinstance(error, PdsearchError) and not user_lines(error):
        return _blaming(error, str(error), spec)
    if log is not None:
        write_log(log, "".join(traceback.format_exception(error)))
    where = f" (traceback in {log.parent.name}/{log.name})" if log else ""
    return f"{redacted(_blaming(error, _words(error), spec))}{where}"


def _blaming(error: BaseException, words: str, spec: TrialSpec) -> str:
    """Return the words with the own code that fails in front, unless they name a field already, or the machine did."""
    named = isinstance(error, PdsearchError) and "." in (error.where or "")  # A section alone names no part.
    if named or (is_infrastructure(words) and not user_lines(error)):
        return words
    part = _blamed(error, spec)
    field, _, value = part.partition(": ")
    return (
        f"{field}: {words}"
        if part and words.startswith(value)
        else f"{part} fails: {words}"
        if part
        else words
    )


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
    what = f"{type(error).__name__}: {error}"
    if isinstance(error, PdsearchError):
        what = f"{error.where}: {error.what}" if error.where else error.what
    return what + place_of(error)


PACKAGE = str(Path(__file__).parents[1]) + os.sep
LOSS, STUDENT, TEACHER, METHOD = "distill.loss", "student.model", "teacher.model", "prune.method"
CALLS = {
    "distillation/": (LOSS,),
    "pruning/": (METHOD,),
    "pipeline/distill.py _live": (TEACHER,),
    "pipeline/distill.py": (LOSS, STUDENT),
    "pipeline/student.py": (STUDENT,),
    "pipeline/prune.py": (TEACHER,),
    "pipeline/teacher.py": (TEACHER,),
}
"""Files of pdsearch, some with a function, and the fields whose parts they call; the first that fits counts."""

NETWORKS_ONLY = ("pipeline/networks.py", "training/evaluate.py")
"""Files that call a network, and never a loss."""


def _blamed(error: BaseException, spec: TrialSpec) -> str:
    """Return the field and the value of the own code from which an error of a trial came, as `FIELD: VALUE`.

    That is the part in whose file it was raised; where several are in one file, or it was raised elsewhere, the part
    that was being called. Several that may be it are joined by "or"; "" if none may.
    """
    parts = dict(_own_parts(spec))
    # An error that was raised from another has the frames outside of that one.
    chain = causes(error) if parts else []
    codes = [
        frame.f_code
        for one in reversed(chain)
        for frame, _ in reversed([*traceback.walk_tb(one.__traceback__)])
    ]
    called = [
        group
        for code in codes
        for group in _called(code.co_filename, code.co_name, codes)
        if {*group} & {*parts}
    ]
    for code in codes:
        of_file = [field for field, (_, file) in parts.items() if file == os.path.abspath(code.co_filename)]
        if of_file:
            top = code.co_qualname.partition(".")[0]
            named = [field for field in of_file if parts[field][0].rpartition(":")[2] == top] or of_file
            calling = next((both for group in called if (both := [f for f in named if f in group])), named)
            return _listed(calling, parts)
    return _listed([field for field in next(iter(called), ()) if field in parts], parts)


def _own_parts(spec: TrialSpec) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the field of each part of the user's, with its value and its file."""
    named: list[tuple[str, AnyRegistry, str]] = [
        (TEACHER, models, spec.teacher.model),
        (STUDENT, models, spec.student.model),
        (LOSS, losses, spec.distill.loss),
        *([(METHOD, methods, spec.prune.method)] if spec.prune else []),
    ]
    for field, registry, name in named:
        own = registry.own_name(name) if name in registry else None
        if own is not None:
            yield field, (name, source_file(own))


def _called(file: str, function: str, codes: list[CodeType]) -> Iterator[tuple[str, ...]]:
    """Yield the fields of the parts that a function of pdsearch calls."""
    if not file.startswith(PACKAGE):
        return
    place = f"{file.removeprefix(PACKAGE).replace(os.sep, '/')} {function}"
    fields = next((fields for start, fields in CALLS.items() if place.startswith(start)), ())
    if fields:
        network = any(
            code.co_filename.startswith(tuple(PACKAGE + name for name in NETWORKS_ONLY)) for code in codes
        )
        yield tuple(field for field in fields if not (network and field == LOSS and len(fields) > 1))


def _listed(fields: list[str], parts: dict[str, tuple[str, str]]) -> str:
    return " or ".join(f"{field}: {parts[field][0]}" for field in fields)


E = TypeVar("E")
T = TypeVar("T")


class Watchdog:
    """Ends a worker whose trial hangs. Invariant: the timer runs only while the trial does, not its consumer.

    A Python thread would not do: code that hangs inside a library may hold the interpreter's lock. The timer of
    faulthandler needs no lock, writes the stack of every thread, and ends the process. Without the lock it may read a
    frame that is just being replaced (in a trial that is slow, not stuck) and crash: that ends the process too, and
    since the first line is on disk by then, the trial's verdict is the same.

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
