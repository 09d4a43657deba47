"""Committed text holds no path of one machine, no registry host, no unfinished work, and no large file."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, committed

# Put together from pieces, so that this file does not hold what it forbids.
HOME_PATH = re.compile(
    r"(?<![\w.$}~-])/(?:" + "|".join(["ho" + "me", "ro" + "ot", "Us" + "ers"]) + r")/[\w.]"
)
HOSTS = [
    r"pypi\.(?:o" + "rg|py)",
    "pythonho" + "sted",
    "download" + r"\.pytorch",
    "anac" + r"onda\.(?:com|org)",
]
REGISTRY = re.compile("|".join(HOSTS))
UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
CONFLICT = re.compile("^(?:" + "<" * 7 + "|" + ">" * 7 + ") ", re.MULTILINE)
FORBIDDEN = {
    "home path": HOME_PATH,
    "registry host": REGISTRY,
    "unfinished": UNFINISHED,
    "unresolved conflict": CONFLICT,
}

BREACHES = {
    "home path": ["see /ho" + "me/ann/x", "'/ro" + "ot/.cache'"],
    "registry host": ["https://py" + "pi.org/simple", "files.pythonho" + "sted.org"],
    "unfinished": ["# TO" + "DO: later"],
    "unresolved conflict": ["a\n" + "<" * 7 + " HEAD\nb", ">" * 7 + " main"],
}
HARMLESS = {
    "home path": ["~/data", "$HOME/data", "s3://bucket/home/x", "docs/home/index.md"],
    "registry host": ["a registry", "pypi"],
    "unfinished": ["todos", "METHODS_TODONE"],
    "unresolved conflict": ["a << b", ">>> 1 + 1", "<" * 30],
}


@cache
def text_of(path: Path) -> str:
    content = (ROOT / path).read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


@pytest.mark.parametrize("name", FORBIDDEN)
def test_committed_files_hold_none_of_what_is_forbidden(name: str) -> None:
    texts = ((path, text_of(path)) for path in committed())
    breaches = [(path, match) for path, text in texts if (match := FORBIDDEN[name].search(text))]
    assert not [f"{path} line {match.string[: match.start()].count(chr(10)) + 1}" for path, match in breaches]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_each_pattern_sees_what_it_forbids_and_nothing_else(name: str) -> None:
    assert all(FORBIDDEN[name].search(text) for text in BREACHES[name])
    assert not any(FORBIDDEN[name].search(text) for text in HARMLESS[name])


def test_committed_files_are_small() -> None:
    assert not [path for path in committed() if (ROOT / path).stat().st_size > 1_000_000]
