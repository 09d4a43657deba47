"""Mistakes in a space file, collected with their positions and raised as one ConfigError in file order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from pdsearch.config.yaml_tree import Mark, shorten
from pdsearch.errors import ConfigError

__all__ = ["Problem", "Problems", "nearest", "show"]

MOST_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """One mistake: what, where, and what to do about it (computed only if it is shown)."""

    what: str
    mark: Mark
    key: str = ""
    hint: str | Callable[[], str] | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """The position and, where there is one, the dotted key."""
        return f"{self.mark} key {self.key}" if self.key else str(self.mark)

    @property
    def advice(self) -> str | None:
        """What to do about it."""
        return self.hint() if callable(self.hint) else self.hint


@dataclass
class Problems:
    """The mistakes found so far in one source, without duplicates at the same position.

    Args:
        source: Its name in messages, e.g. the path.
        inside: The dotted key for which the source is the value, where it is a single value and no file: messages
            then name the key and no line.
        found: The mistakes.
        keys: The keys that are wrong, and all that enclose them.
    """

    source: str
    inside: str = ""
    found: dict[Problem, None] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)

    def add(
        self, what: str, mark: Mark, *, key: str = "", hint: str | Callable[[], str] | None = None
    ) -> None:
        """Add a mistake."""
        if self.inside:
            mark = Mark(mark.source)
            key = self.inside + (f".{key}" if key and not key.startswith("[") else key)
        self.found[Problem(what, mark, key, hint)] = None
        for end in [i for i, c in enumerate(key) if c in ".["] + [len(key)]:
            self.keys.add(key[:end])

    def flagged(self, key: str) -> bool:
        """Return whether a key, or anything below it, is already known to be wrong."""
        return key in self.keys

    def check(self) -> None:
        """Raise the mistakes found, if there are any.

        Raises:
            ConfigError: See `error`.
        """
        if self.found:
            raise self.error()

    def error(self) -> ConfigError:
        """Return an error of the one mistake with its position, or of all of them (20 at most), one per line."""
        found = sorted(self.found, key=lambda p: (p.mark.line, p.mark.column))
        if len(found) == 1:
            return ConfigError(found[0].what, where=found[0].where, hint=found[0].advice)
        lines = [_line(p) for p in found[:MOST_SHOWN]]
        if len(found) > MOST_SHOWN:
            lines.append(f"... and {len(found) - MOST_SHOWN} more")
        return ConfigError(f"{len(found)} problems\n  " + "\n  ".join(lines), where=self.source)


def _line(problem: Problem) -> str:
    advice = problem.advice
    return f"{problem.where}: {problem.what}" + (f" -> {advice}" if advice else "")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'? " for the most similar known word, or an empty string."""
    # difflib takes quadratic time in the length of a word.
    near = get_close_matches(word, list(known), n=1) if len(word) <= 64 else []
    return f"did you mean {near[0]!r}? " if near else ""


def show(value: object) -> str:
    """Return a value as text for a message, in YAML's notation."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(shorten(value))
    return shorten(str(value))
