"""Errors meant for the user: what happened, where, what to do, and the exit code of each; no message holds a secret."""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

_WORDS = "key|token|secret|passw"
_OPTION = re.compile(f"{_WORDS}|signature|credential|^sig$|^sas$", re.IGNORECASE)
_VARIABLE = re.compile(_WORDS, re.IGNORECASE)
_SHORTEST = 6

_USER = re.compile(r"\b((?:s3|gcs?|gs|abfss?|hdfs)://)[^/@\s'\"]*@")
"""User part of an object storage's URL: a secret, or not worth showing."""

_PASSWORD = re.compile(r"(://[^/\s:@]*):[^/\s@]+@")
_PAIR = re.compile(r"([?&;])([\w.%-]+)=([^&;\s'\"]*)")


def is_secret(option: str) -> bool:
    """Return whether an option of a URL holds a secret, judged by its name."""
    return bool(_OPTION.search(option))


def redacted(text: str) -> str:
    """Return a text without the secrets in URLs and without the values of environment variables that hold secrets."""
    text = _PASSWORD.sub(r"\1:***@", _USER.sub(r"\1***@", text))
    text = _PAIR.sub(lambda found: f"{found[1]}{found[2]}=***" if is_secret(found[2]) else found[0], text)
    for name, value in os.environ.items():
        if _VARIABLE.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, "***")
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'? " for the most similar known word, or an empty string."""
    # difflib takes quadratic time in the length of a word.
    near = get_close_matches(word, list(known), n=1) if len(word) <= 64 else []
    return f"did you mean {near[0]!r}? " if near else ""


class PdsearchError(Exception):
    """Base of every error meant for the user; printed without a traceback.

    Args:
        what: What happened, in one sentence.
        where: File, line, key or path, if there is one.
        hint: What to do now.
    """

    exit_code: int = 1
    ARROW: ClassVar[str] = "\n  -> "
    """Separates what happened from what to do in a message."""

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        what, _, inner = what.partition(self.ARROW)
        # A message that quotes another one moves its hint to the end, without duplicates.
        hints = dict.fromkeys(text for part in (inner, hint or "") for text in part.split(self.ARROW) if text)
        hint = "; ".join(hints) or None
        self.what = redacted(what)
        self.where, self.hint = (text and redacted(text) for text in (where, hint))
        super().__init__(str(self))

    def __str__(self) -> str:
        prefix = f"{self.where}: " if self.where else ""
        suffix = f"{self.ARROW}{self.hint}" if self.hint else ""
        return f"{prefix}{self.what}{suffix}"

    def __reduce__(self) -> tuple[object, ...]:
        """Support pickling, keyword arguments included: errors are sent between processes."""
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[PdsearchError], what: str, where: str | None, hint: str | None) -> PdsearchError:
    return kind(what, where=where, hint=hint)


class ConfigError(PdsearchError):
    """The space file or the command line is wrong; nothing was started."""

    exit_code = 2


class DataError(PdsearchError):
    """The data set is missing or broken; nothing was trained."""

    exit_code = 2


class FailureLimitError(PdsearchError):
    """The search stopped because too many trials failed."""

    exit_code = 3


class IncompleteError(PdsearchError):
    """The run ended without a required result: a trial that satisfies the constraints, or a confirmation."""

    exit_code = 1


class IrreproducibleError(PdsearchError):
    """An exported configuration was trained again, and the student is not the exported one."""

    exit_code = 1


class ClusterError(PdsearchError):
    """Ray or its workers did not start; nothing finished is lost."""

    exit_code = 69


class StudyHeldError(PdsearchError):
    """Another driver holds the study."""

    exit_code = 73


class StorageError(PdsearchError):
    """The storage cannot be read or written."""

    exit_code = 74


class StorageFullError(StorageError):
    """No space is left; free some and run the same command again."""

    exit_code = 75


class TrialError(PdsearchError):
    """A trial failed for a reason that a retry will not change."""


class Interrupted(PdsearchError):  # noqa: N818 - what happened is no error
    """The run was stopped by Ctrl-C; nothing finished is lost."""

    exit_code = 130


class HungUp(Interrupted):
    """The run was stopped by SIGHUP: its terminal was closed or its connection lost."""

    exit_code = 129


class Warned(Interrupted):
    """The run was stopped by SIGUSR1, by which batch systems warn that the requested time is about to end."""

    exit_code = 138


class Terminated(Interrupted):
    """The run was stopped by SIGTERM."""

    exit_code = 143
