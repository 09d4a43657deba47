"""Conversion of typer's and pydantic's errors about a command line to a ConfigError in pdsearch's words."""

import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path

from typer.exceptions import TyperException

from pdsearch.errors import ConfigError

_WORDS = (
    (re.compile(r"^Invalid value for (?P<where>.+?): "), ""),
    (re.compile(r"^Invalid value: "), ""),
    (re.compile(r"(Value error|Assertion failed), "), ""),
    (re.compile(r"Input should be a valid integer.*"), "must be a whole number"),
    (re.compile(r"Input should be a valid number.*"), "must be a number"),
    (re.compile(r"Input should be "), "must be "),
)


def usage_error(error: TyperException, words: Sequence[str], verbs: Collection[str]) -> ConfigError:
    """Return a ConfigError that says what is wrong with a command line, where, and where to read more.

    Args:
        error: Raised by typer while it parsed the command line.
        words: The command line.
        verbs: The program's verbs.
    """
    first = next((word for word in words if not word.startswith("-")), None)
    if first and first not in verbs and Path(first).is_file():
        hint = f"to search it: pdsearch run {shlex.join(words)}"
        return ConfigError("a file, and a verb must stand before it", where=first, hint=hint)
    said = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    named = _WORDS[0][0].match(said)
    for pattern, words in _WORDS:
        said = pattern.sub(words, said)
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else "pdsearch"
    where = named["where"].replace("'", "") if named else None
    return ConfigError(
        said.rstrip(".") or "not understood", where=where, hint=f"{verb} --help says what it takes"
    )
