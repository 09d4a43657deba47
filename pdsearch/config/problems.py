"""Mistakes in a space file, pydantic's among them, collected with their positions and raised as one ConfigError."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pdsearch.config.yaml_tree import Mark, Node, Path, dotted, mark_of, shorten
from pdsearch.errors import ConfigError, nearest

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

    def refuse(self, what: str, mark: Mark, hint: str, *, key: str = "") -> NoReturn:
        """Add a mistake after which nothing more can be read, and raise all."""
        self.add(what, mark, key=key, hint=hint)
        raise self.error()

    def add_at(
        self, root: Node, path: Path, what: str, hint: str | Callable[[], str] | None, *, of_key: bool = False
    ) -> None:
        """Add a mistake at a path of the document, at the position of the value or of its key."""
        self.add(what, mark_of(root, path, key=of_key), key=dotted(path), hint=hint)

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


def quoted(value: object) -> str:
    """Return a value as text for a message, in YAML's notation."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(shorten(value))
    return shorten(str(value))


EXPECTED = {
    "int_type": ("a whole number", "write a whole number"),
    "float_type": ("a number", "write a number"),
    "string_type": ("a word", "write a word, in quotes if it looks like a number"),
    "bool_type": ("true or false", "write true or false"),
    "list_type": ("a list", "write [a, b]"),
    "dict_type": ("a mapping", "write `key: value` pairs"),
    "model_type": ("a mapping", "write `key: value` pairs"),
    "finite_number": ("a finite number", "write a finite number"),
}
EMPTY = {
    "string_too_short": ("expected a word, got nothing", "write a word"),
    "too_short": ("an empty list", "give at least one, or remove the key"),
}
BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def add_complaints(
    error: ValidationError, model: type[BaseModel] | None, root: Node, problems: Problems, *, at: Path = ()
) -> None:
    """Report every error of a validation.

    Args:
        error: Pydantic's error.
        model: The section that was validated, for its known names.
        root: The document.
        problems: Where to add them.
        at: Path of the validated value in the document.
    """
    for item in error.errors(include_url=False):
        path = (*at, *(step for step in item["loc"] if step != "[key]"))
        if problems.flagged(dotted(path)):
            continue
        if item["type"] == "extra_forbidden":
            what = f"unknown key {quoted(str(path[-1]))}"
            hint = partial(_known_keys, item["loc"], model)
            problems.add_at(root, path, what, hint, of_key=True)
        else:
            problems.add_at(root, path, *_sentence(item))


def _number(bound: float) -> str:
    """Return a bound as text, an integral one without decimals or exponent."""
    return str(int(bound)) if bound == int(bound) else f"{bound:g}"


def _sentence(item: ErrorDetails) -> tuple[str, str]:
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "complaint":
        return context["what"], context["hint"]
    if kind == "missing":
        return f"{item['loc'][-1]!r} is missing", f"add `{item['loc'][-1]}:`"
    if kind in EXPECTED:
        return f"expected {EXPECTED[kind][0]}, got {quoted(value)}", EXPECTED[kind][1]
    if kind in BOUNDS:
        words, name = BOUNDS[kind]
        return f"{quoted(value)} is out of range", f"must be {words} {_number(context[name])}"
    if kind == "literal_error":
        known = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        near = nearest(value, known) if isinstance(value, str) else ""
        return f"unknown word {quoted(value)}", f"{near}known: {', '.join(known)}"
    if kind == "string_pattern_mismatch":
        return (
            f"{quoted(value)} is no name",
            "1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
        )
    if kind == "too_long":
        return f"{context['actual_length'] or 'too many'} entries", f"give at most {context['max_length']}"
    return EMPTY.get(kind, (item["msg"], "see the space reference"))


def _known_keys(loc: tuple[str | int, ...], model: type[BaseModel] | None) -> str:
    if loc[-1] == "<<":
        return "merge keys are no part of YAML 1.2; write the values out"
    known = _fields_at(model, loc[:-1])
    return f"{nearest(str(loc[-1]), known)}known: {', '.join(known)}"


def _fields_at(model: type[BaseModel] | None, loc: tuple[str | int, ...]) -> list[str]:
    for step in loc:
        if isinstance(step, str) and model is not None and step in model.model_fields:
            model = _section_in(model.model_fields[step].annotation)
    return list(model.model_fields) if model is not None else []


def _section_in(annotation: object) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)
