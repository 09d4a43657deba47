"""Command of the user's that is run when a run ends: a notification, the next step of a pipeline."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pdsearch.cli.console import note
from pdsearch.errors import ConfigError, Interrupted, PdsearchError

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
    words, ending = _words(command), Ending(study)
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
            _run(
                words,
                {f"PDSEARCH_{name}": value for name, value in facts.items()}
                | {"PDSEARCH_EXIT_CODE": str(code)},
            )


def _words(command: str | None) -> list[str]:
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


def _run(words: list[str], variables: dict[str, str]) -> None:
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
        note(f"note: --on-end {words[0]} still runs after {PATIENCE_S:.0f} s, and goes on by itself")
    except OSError as error:
        note(f"note: --on-end {words[0]} cannot be run: {error.strerror}")
    else:
        if code:
            note(f"note: --on-end {words[0]} ended with exit code {code}; the study is not affected")
