"""Handling of stdout and stderr that are closed, full, gone, or in an encoding that lacks a character."""

import codecs
import errno
import io
import os
import sys
from typing import Any

_PLAIN = {"±": "+/-", "²": "^2", "…": "..."}
_GONE = (errno.EIO, errno.EBADF, errno.ENOSPC, errno.ENXIO, errno.EDQUOT)


def prepare() -> None:
    """Make both streams accept any text: stderr drops what it cannot write, missing characters are spelled in ASCII."""
    # Otherwise the next file that is opened would get the descriptor, and output would be written into it.
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error("pdsearch.plain", _plain)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end of the process
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _forgiving(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="pdsearch.plain")


def unwritable(error: OSError) -> bool:
    """Return whether an error is that of an output stream that cannot be written: it names no file."""
    return error.filename is None and error.errno in _GONE


class _Forgiving(io.FileIO):
    """A terminal or a log file that may be gone or full, which must not end the run."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in (*_GONE, errno.EPIPE):
                raise
            return len(data)


def _forgiving(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    # A descriptor of its own, so that Ray's core, which writes to 2 directly, can be silenced alone.
    raw = _Forgiving(os.dup(stream.fileno()), "w")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, line_buffering=True, write_through=True
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII for characters that an encoding lacks; an error handler for Python's codecs."""
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in lacking), error.end
