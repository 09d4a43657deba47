"""`pdsearch run`: search a space, or go on with its study; then confirm, rank, and say what to do next."""

import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import note, stderr
from pdsearch.cli.progress.lines import JsonLines, Lines
from pdsearch.cli.progress.screen import Screen
from pdsearch.config import Space, load
from pdsearch.driver import choose_ray, drive
from pdsearch.errors import ConfigError
from pdsearch.redaction import redacted
from pdsearch.signals import stoppable

__all__ = ["run"]


def run(
    space: SpaceFile,
    address: Annotated[
        str | None,
        typer.Option(
            help="Join a Ray cluster: auto, or host:port; local keeps to this machine. Else RAY_ADDRESS."
        ),
    ] = None,
    serial: Annotated[
        bool, typer.Option("--serial", help="One trial at a time in this process, without Ray.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trials at once; as many as fit if not given.")
    ] = None,
    overrides: Overrides = None,
    progress: Annotated[str, typer.Option(help="auto, screen, lines or json.")] = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what the engine chooses; let Ray's own log through.")
    ] = False,
) -> None:
    """Search a space. The same command goes on where an earlier one ended, however it ended."""
    with stoppable(note) as stop:
        asked = load(space, overrides=tuple(overrides or ()))
        for warning in (*asked.warnings, *asked.notes):
            note(f"note: {warning}")
        choice = choose_ray(asked, address, serial=serial)
        again = _command(space, overrides or (), address=address, serial=serial, workers=workers)
        with _observer(progress, asked) as observer:
            study = drive(
                asked, observer, stop, choice=choice, serial=serial, workers=workers, verbose=verbose
            )
        # With JSON lines, nothing else goes to stdout.
        with redirect_stdout(sys.stderr) if progress == "json" else nullcontext():
            _close(study, observer, again)


def _command(
    space_file: Path, overrides: Sequence[str], *, address: str | None, serial: bool, workers: int | None
) -> str:
    """Return the shell command of this run, without the number of trials and with secrets redacted."""
    words = ["pdsearch", "run", str(space_file)]
    for text in overrides:
        words += ["--set", text] if text.partition("=")[0].strip() != "search.trials" else []
    words += ["--address", address] if address else []
    words += ["--serial"] if serial else []
    words += ["--workers", str(workers)] if workers else []
    return shlex.join([redacted(word) for word in words])


def _close(study: Any, observer: Any, again: str) -> None:
    from pdsearch.cli.summary import closing_words  # loads SciPy, for a second, when no trial waits for it

    closing_words(study, observer.tally, again)


def _observer(progress: str, space: Space) -> AbstractContextManager[Any]:
    console = stderr()
    if progress == "json":
        return JsonLines(sys.stdout)
    if progress == "lines" or (progress == "auto" and not console.is_terminal):
        return Lines(sys.stderr)
    if progress in ("auto", "screen"):
        return Screen(console, space.study)
    raise ConfigError(
        f"unknown progress {progress!r}", where="--progress", hint="known: auto, screen, lines, json"
    )
