"""What does the docstring of a registered part say? Its summary, its paragraphs, its sections, its arguments."""

import functools
import inspect
import re
from typing import Any

__all__ = ["arguments", "details", "docstring", "section", "summary"]


def docstring(entry: Any) -> str:
    """Return the docstring of what does the work: a score, a loss, a network's class, a source's class."""
    for attribute in ("score", "loss"):
        entry = getattr(entry, attribute, entry)
    while isinstance(entry, functools.partial):
        entry = entry.func
    if not inspect.isroutine(entry) and not inspect.isclass(entry):
        entry = type(entry)
    return inspect.cleandoc(entry.__doc__ or "")


def summary(text: str) -> str:
    """Return the first paragraph, on one line."""
    return _joined(text.split("\n\n")[0])


def details(text: str) -> str:
    """Return the paragraphs between the first one and the first section, which begins as `Title:` alone on a line."""
    found = []
    for paragraph in text.split("\n\n")[1:]:
        if paragraph.splitlines()[0].endswith(":"):
            break
        found.append(_joined(paragraph))
    return "\n\n".join(found)


def section(text: str, title: str) -> str:
    """Return the indented text under a section's title, on one line; empty where there is none."""
    return _joined(_indented(text, title))


def arguments(text: str) -> dict[str, str]:
    """Return what the section "Args" says of each argument, on one line each."""
    found = re.split(r"^    (\w+): ", _indented(text, "Args"), flags=re.MULTILINE)
    return {name: _joined(said) for name, said in zip(found[1::2], found[2::2], strict=True)}


def _indented(text: str, title: str) -> str:
    _, found, rest = text.partition(f"{title}:\n")
    lines = []
    for line in rest.splitlines() if found else []:
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return "\n".join(lines)


def _joined(text: str) -> str:
    return " ".join(text.split())
