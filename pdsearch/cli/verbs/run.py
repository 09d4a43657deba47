"""`pdsearch run`: search a space, or go on with its study; then confirm, rank, and say what to do next."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import print_note, stderr
from pdsearch.cli.progress import JsonLines, Lines, Tally
from pdsearch.cli.screen import Screen
from pdsearch.config import Space, diff, load, positioned
from pdsearch.driver import choose_ray, drive
from pdsearch.errors import ConfigError, Interrupted, PdsearchError, redacted
from pdsearch.io import is_url, resolved
from pdsearch.io.durable import from_home
from pdsearch.io.studies import Accept, begun
from pdsearch.observer import Observer, Observers, load_observer
from pdsearch.signals import stoppable

if TYPE_CHECKING:
    from pdsearch.search.study import Study

AcceptCode: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--accept-code",
        help="Go on with own code that was mended: what failed is tried again, what finished stays.",
    ),
]
Redo: TypeAlias = Annotated[
    bool, typer.Option("--redo", help="Ask what finished with earlier own code again, too.")
]
Observing: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:NAME",
        help="Tell an observer of one's own what happens (TensorBoard, MLflow: see examples). May be repeated.",
    ),
]
OnEnd: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help="Run this when the run ends, however it ends; PDSEARCH_STATE and others say how. No shell.",
    ),
]


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
    accept_code: AcceptCode = False,
    redo: Redo = False,
    progress: Annotated[str, typer.Option(help="auto, screen, lines or json.")] = "auto",
    observer: Observing = None,
    on_end: OnEnd = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say what the engine chooses; let Ray's own log through.")
    ] = False,
) -> None:
    """Search a space. The same command goes on where an earlier one ended, however it ended."""
    extra = _options(address, observer or (), on_end, serial=serial, workers=workers)
    same = _command(space, overrides or (), extra)
    with told_at_end(on_end, space.stem) as ending, _told_how_to_go_on(same), stoppable(print_note) as stop:
        asked = load(space, overrides=tuple(overrides or ()))
        ending.study, ending.folder = asked.study, str(resolved(asked.storage) / asked.study)
        choice = choose_ray(asked, address, serial=serial)
        _point_elsewhere(space, asked)
        others = _others(observer or (), asked)
        with _observer(progress, asked) as shown, positioned(asked):
            study = drive(
                asked,
                Observers(shown, others, shown.say),
                stop,
                choice=choice,
                serial=serial,
                workers=workers,
                verbose=verbose,
                accept=Accept(code=accept_code, redo=redo),
            )
        ending.limit = study.scheduler.phases.cut_by()
        # With JSON lines, nothing else goes to stdout.
        with redirect_stdout(sys.stderr) if progress == "json" else nullcontext():
            kept = [text for text in overrides or () if text.partition("=")[0].strip() != "search.trials"]
            _close(study, shown, _command(space, kept, extra))


@contextmanager
def _told_how_to_go_on(again: str) -> Iterator[None]:
    """Name the command that goes on where a signal ended the block."""
    try:
        yield
    except Interrupted as error:
        raise type(error)(error.what, hint=f"to go on: {again}") from None


def _point_elsewhere(space_file: Path, space: Space) -> None:
    """Say where a study of this name and space lies, if a new one is about to begin beside it."""
    storage = from_home(space.storage)
    with suppress(OSError):  # Opening the study says what is wrong with the name.
        if is_url(space.storage) or storage.is_absolute() or (storage / space.study).exists():
            return
    for root in ("..", "../..", "../../..", space_file.parent):
        with suppress(PdsearchError, OSError):
            folder = (root / storage / space.study).resolve(strict=True)
            about = begun(folder)
            if about is not None and not diff(about.space.form, space.identity()):
                print_note(
                    f"note: a study of this name and space lies in {folder}; a new one begins here."
                    f" To go on with that one: --set storage={shlex.quote(str(folder.parent))}"
                )
                return


def _command(space_file: Path, overrides: Sequence[str], options: Sequence[str]) -> str:
    """Return the shell command of a run, with secrets redacted."""
    sets = [word for text in overrides for word in ("--set", text)]
    words = ["pdsearch", "run", str(space_file), *sets, *options]
    return shlex.join([redacted(word) for word in words])


def _options(
    address: str | None, observers: Sequence[str], on_end: str | None, *, serial: bool, workers: int | None
) -> list[str]:
    """Return the options of this run that the next one needs as well."""
    words = ["--address", address] if address else []
    words += ["--serial"] if serial else []
    words += ["--workers", str(workers)] if workers else []
    words += [word for name in observers for word in ("--observer", name)]
    return words + (["--on-end", on_end] if on_end else [])


def _close(study: "Study", observer: Tally, again: str) -> None:
    from pdsearch.cli.summary import closing_words  # loads SciPy, for a second, when no trial waits for it

    closing_words(study, observer, again)


def _others(names: Sequence[str], space: Space) -> list[Observer]:
    try:
        return [load_observer(name, space) for name in names]
    except ConfigError as error:
        raise ConfigError(error.what, where="--observer", hint=error.hint) from error


def _observer(progress: str, space: Space) -> Tally:
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


PATIENCE_S = 10.0


@dataclass
class Ending:
    """What is known of a run for the command: its study, the folder, the limit that ended its search."""

    study: str
    folder: str = ""
    limit: str | None = None


@contextmanager
def told_at_end(command: str | None, study: str) -> Iterator[Ending]:
    """Run a command when the block ends, without a shell; its failure changes nothing but a note.

    It gets PDSEARCH_STATE (finished, limit, failed or stopped), PDSEARCH_STUDY, PDSEARCH_FOLDER, PDSEARCH_EXIT_CODE and
    PDSEARCH_MESSAGE. What it prints goes to standard error, for standard output may be read by a program. After 10
    seconds it is left running, for a signal's sender may kill soon.

    Args:
        command: Words as for a shell; None runs nothing.
        study: Name of the study, until the space is read.

    Raises:
        ConfigError: There is no such program; raised before the block begins.
    """
    words, ending = _words_of(command), Ending(study)
    state, code, message = "failed", 1, ""
    try:
        yield ending
        state, code = ("limit" if ending.limit else "finished"), 0
        message = f"{ending.limit} is used up" if ending.limit else ""
    except PdsearchError as error:
        state = "stopped" if isinstance(error, Interrupted) else "failed"
        code, message = error.exit_code, str(error)
        raise
    finally:
        if words:
            facts = {"STATE": state, "STUDY": ending.study, "FOLDER": ending.folder, "MESSAGE": message}
            _run_at_end(
                words,
                {f"PDSEARCH_{name}": value for name, value in facts.items()}
                | {"PDSEARCH_EXIT_CODE": str(code)},
            )


def _words_of(command: str | None) -> list[str]:
    try:
        words = shlex.split(command or "")
    except ValueError as error:
        raise ConfigError(f"no command: {error}", where="--on-end", hint="quote it as for a shell") from None
    if command is not None and (not words or shutil.which(words[0]) is None):
        hint = "name a program that may be executed, and its arguments; for a shell: --on-end 'sh -c \"...\"'"
        raise ConfigError(
            f"there is no program {words[0] if words else command!r}", where="--on-end", hint=hint
        )
    return words


def _run_at_end(words: list[str], variables: dict[str, str]) -> None:
    try:
        process = subprocess.Popen(
            words,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=2,  # Of the process, not what may stand for it in this one.
            start_new_session=True,
        )
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # It is nobody's child from now on.
        print_note(f"note: --on-end {words[0]} still runs after {PATIENCE_S:.0f} s, and goes on by itself")
    except OSError as error:
        print_note(f"note: --on-end {words[0]} cannot be run: {error.strerror}")
    else:
        if code:
            print_note(f"note: --on-end {words[0]} ended with exit code {code}; the study is not affected")
