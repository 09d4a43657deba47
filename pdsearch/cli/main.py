"""Entry point of the command line: loads the module of the called verb alone, turns errors into exit codes."""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from pdsearch import __version__
from pdsearch.cli.streams import prepare, unwritable
from pdsearch.errors import ConfigError, PdsearchError, StorageError

__all__ = ["VERBS", "main"]

VERBS: dict[str, tuple[str, str]] = {
    "run": ("pdsearch.cli.verbs.run:run", "Search a space, or go on with its study; then confirm and rank."),
    "check": (
        "pdsearch.cli.verbs.check:check",
        "Check a space file and say what it would search; start nothing.",
    ),
    "plan": (
        "pdsearch.cli.verbs.plan:plan",
        "Say what a search would cost: epochs with and without reuse, storage.",
    ),
    "rank": ("pdsearch.cli.verbs.rank:rank", "Rank the teachers of a study by what their students achieve."),
    "report": (
        "pdsearch.cli.verbs.report:report",
        "Write a study as one page: ranking, figures, what mattered.",
    ),
    "export": ("pdsearch.cli.verbs.export:export", "Write the best configurations and students of a study."),
    "verify": (
        "pdsearch.cli.verbs.verify:verify",
        "Check that nothing of a study is lost, repeated or damaged.",
    ),
    "retry": ("pdsearch.cli.verbs.retry:retry", "Have the next run try failed trials again."),
    "cache": ("pdsearch.cli.verbs.cache:cache", "Look at, clear out or check a storage's artifacts."),
    "list": (
        "pdsearch.cli.verbs.list:list_parts",
        "List methods, losses, models, sources and their parameters.",
    ),
    "schema": ("pdsearch.cli.verbs.schema:schema", "Print the JSON Schema of space files, for editors."),
}
"""Verb -> (module:function, its line in `pdsearch --help`)."""

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (docs/exit_codes.md).

    Args:
        args: Arguments after the program's name; None for those of the process.
    """
    words = list(sys.argv[1:] if args is None else args)
    prepare()
    try:
        code = _run(words)
        sys.stdout.flush()
    except PdsearchError as error:
        if os.environ.get("PDSEARCH_TRACEBACK") == "1":
            raise
        from pdsearch.cli.console import print_error  # rich is loaded when there is something to print

        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # The reader has closed the pipe.
        return BROKEN_PIPE
    except OSError as error:
        if not unwritable(error):
            raise
        _drop_output()
        print(f"pdsearch: the output cannot be written: {error.strerror}", file=sys.stderr)
        return StorageError.exit_code
    return code


def _drop_output() -> None:
    """Keep Python from writing the rest of the output when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    app = _app(next((word for word in words if not word.startswith("-")), None))
    try:
        # In its standalone mode typer prints errors itself, in a form and in words of its own.
        code = app(args=words, prog_name="pdsearch", standalone_mode=False)
    except TyperException as error:
        if not words:  # Typer has printed the help.
            return ConfigError.exit_code
        raise _not_understood(error) from error
    except SystemExit as end:
        # Typer turns a pipe that broke during output into exit code 1.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return code if isinstance(code, int) else 0


def _not_understood(error: TyperException) -> PdsearchError:
    from pdsearch.cli.usage import usage_error

    return usage_error(error)


def _app(asked: str | None) -> typer.Typer:
    """Build the program with the called verb in full, and the others as names with a line of help."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_options)
    for verb, (target, summary) in VERBS.items():
        function = _load(target) if verb == asked else _not_asked
        app.command(verb, short_help=summary)(function)
    return app


def _load(target: str) -> Callable[..., Any]:
    module, function = target.split(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
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
) -> None:
    """Find the teacher a student learns best from: prune, distill, rank, export."""
