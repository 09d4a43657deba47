"""Entry point of the command line: loads the module of the called verb alone, turns errors into exit codes.

Stdout and stderr may be closed, full, gone, or in an encoding that lacks a character: that ends no run.
"""

import codecs
import errno
import importlib
import io
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import Abort, TyperException

from pdsearch import __version__
from pdsearch.errors import ConfigError, PdsearchError, StorageError

_VERBS = {
    "init": ("init", "Look at a data set and write a space file for it."),
    "demo": ("demo", "Search the digits that come with pdsearch: minutes on a CPU."),
    "run": ("run", "Search a space, or go on with its study; then confirm and rank."),
    "extend": ("extend", "Let a study go on with a wider space: choices added, ranges widened."),
    "check": ("check", "Check a space file and say what it would search; start nothing."),
    "plan": ("plan", "Say what a search would cost: epochs with and without reuse, storage."),
    "show": ("show", "Show a study while it runs, one of its trials, or a storage's studies."),
    "rank": ("rank", "Rank the teachers of a study by what their students achieve."),
    "report": ("report", "Write a study as one page: ranking, figures, what mattered."),
    "export": ("export", "Write the best configurations and students of a study."),
    "reproduce": ("reproduce_export", "Train an export again from nothing, and compare to the bit."),
    "verify": ("verify", "Check that nothing of a study is lost, repeated or damaged."),
    "retry": ("retry", "Have the next run try failed trials again."),
    "cache": ("cache", "Look at, clear out or check a storage's artifacts."),
    "list": ("list_parts", "List methods, losses, models, sources and their parameters."),
    "doctor": ("doctor", "Say what this machine has, and what to mend."),
    "schema": ("schema", "Print the JSON Schema of space files, for editors."),
}
VERBS = {verb: (f"pdsearch.cli.verbs.{verb}:{function}", line) for verb, (function, line) in _VERBS.items()}
"""Verb -> (module:function, its line in `pdsearch --help`)."""

INTERRUPTED = 130
BROKEN_PIPE = 141
COMPLETE = "_PDSEARCH_COMPLETE"
"""The variable by which a shell asks for completions, in typer's scripts."""
DEBUG = "--debug"
TRACEBACK = "PDSEARCH_TRACEBACK"
"""The variable that asks for a traceback with every error, as --debug does for one call."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (docs/exit_codes.md).

    Args:
        args: Arguments after the program's name; None for those of the process.
    """
    if args is None:
        _in_utf8()
    given = list(sys.argv[1:] if args is None else args)
    words = [word for word in given if word != DEBUG]  # It may stand before or after the verb.
    prepare()
    try:
        code = _run(words)
        sys.stdout.flush()
    except PdsearchError as error:
        if words != given or os.environ.get(TRACEBACK) == "1":
            traceback.print_exc()
        from pdsearch.cli.console import print_error  # rich is loaded when there is something to print

        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # The reader has closed the pipe.
        return BROKEN_PIPE
    except OSError as error:
        if not _unwritable(error):
            raise
        _drop_output()
        print(f"pdsearch: the output cannot be written: {error.strerror}", file=sys.stderr)
        return StorageError.exit_code
    return code


def _drop_output() -> None:
    """Keep Python from writing the rest of the output when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    app = _app(_verb_of(words))
    try:
        # In its standalone mode typer prints errors itself, in a form and in words of its own.
        code = app(args=words, prog_name="pdsearch", standalone_mode=False)
    except TyperException as error:
        if not words:  # Typer has printed the help.
            return ConfigError.exit_code
        raise _usage_error(error, words) from error
    except Abort:  # Ctrl-C or Ctrl-D instead of an answer, whose line it left unended.
        print(file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:
        # Typer turns a pipe that broke during output into exit code 1.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return code if isinstance(code, int) else 0


_WORDS = (
    (re.compile(r"^Invalid value for (?P<where>.+?): "), ""),
    (re.compile(r"^Invalid value: "), ""),
    (re.compile(r"(Value error|Assertion failed), "), ""),
    (re.compile(r"Input should be a valid integer.*"), "must be a whole number"),
    (re.compile(r"Input should be a valid number.*"), "must be a number"),
    (re.compile(r"Input should be "), "must be "),
)
"""Of what typer and pydantic say, and what stands instead of it."""


def _usage_error(error: TyperException, words: list[str]) -> ConfigError:
    """Return what is wrong with a command line, in our words, where, and where to read more."""
    first = next((word for word in words if not word.startswith("-")), None)
    if first and first not in VERBS and Path(first).is_file():
        hint = f"to search it: pdsearch run {shlex.join(words)}"
        return ConfigError("a file, and a verb must stand before it", where=first, hint=hint)
    said = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    named = _WORDS[0][0].match(said)
    for pattern, instead in _WORDS:
        said = pattern.sub(instead, said)
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else "pdsearch"
    where = named["where"].replace("'", "") if named else None
    return ConfigError(
        said.rstrip(".") or "not understood", where=where, hint=f"{verb} --help says what it takes"
    )


def _verb_of(words: list[str]) -> str | None:
    """Return the verb of a command line, also of one that a shell asks to complete."""
    if not words and COMPLETE in os.environ:
        words = os.environ.get("_TYPER_COMPLETE_ARGS", os.environ.get("COMP_WORDS", "")).split()[1:]
    return next((word for word in words if not word.startswith("-")), None)


def _app(asked: str | None) -> typer.Typer:
    """Build the program with the called verb in full, and the others as names with a line of help."""
    settings = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(
        cls=_Group, no_args_is_help=True, pretty_exceptions_enable=False, context_settings=settings
    )
    app.callback()(_options)
    for verb, (target, summary) in VERBS.items():
        function = _load(target) if verb == asked else _not_asked
        app.command(verb, cls=_Command, short_help=summary, context_settings=settings)(function)
    return app


class _Command(TyperCommand):
    """A verb whose help shows switches without a type."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _untyped_flags(super().get_params(ctx))


class _Group(TyperGroup):
    """The program, likewise."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _untyped_flags(super().get_params(ctx))


def _untyped_flags(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _load(target: str) -> Callable[..., object]:
    module, function = target.split(":")
    loaded: Callable[..., object] = getattr(importlib.import_module(module), function)
    return loaded


def _not_asked() -> None:
    """Placeholder for the verbs that were not called, which `pdsearch --help` lists."""


def _print_version(asked: bool) -> None:
    if asked:
        print(f"pdsearch {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option(DEBUG, help="Show the traceback of an error, too; stands anywhere.")
    ] = False,
) -> None:
    """Find the teacher a student learns best from: prune, distill, rank, export."""


def _in_utf8() -> None:
    """Start the same command anew in UTF-8, which files are written in, if the locale names paths otherwise."""
    if sys.getfilesystemencoding() == "utf-8":
        return
    # Ray's workers inherit the mode; what is printed keeps the locale's encoding.
    os.environ["PYTHONUTF8"] = "1"
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


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


def _unwritable(error: OSError) -> bool:
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
