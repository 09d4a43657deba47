"""Conversion of typer's and pydantic's errors about a command line to a ConfigError in pdsearch's words."""

import re

from typer.exceptions import TyperException

from pdsearch.errors import ConfigError

__all__ = ["usage_error"]

_WORDS = (
    (re.compile(r"^Invalid value for (?P<where>.+?): "), ""),
    (re.compile(r"^Invalid value: "), ""),
    (re.compile(r"(Value error|Assertion failed), "), ""),
    (re.compile(r"Input should be a valid integer.*"), "must be a whole number"),
    (re.compile(r"Input should be a valid number.*"), "must be a number"),
    (re.compile(r"Input should be "), "must be "),
)


def usage_error(error: TyperException) -> ConfigError:
    """Return a ConfigError that says what is wrong with a command line, where, and where to read more.

    Args:
        error: Raised by typer while it parsed the command line.
    """
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
