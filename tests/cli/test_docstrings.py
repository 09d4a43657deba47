from functools import partial
from types import SimpleNamespace

import pytest

from pdsearch.cli.catalogue import arguments, details, docstring, section, summary

TEXT = """A network
of some depth.

More of it.

Source:
    A paper,
    section 2.

Args:
    depth: Layers with weights: all
        of them.
    widths: Channels.

        free: not an argument.

Raises:
    ConfigError: Never.
"""


def spoken() -> None:
    """Speak."""


class Spoken:
    """A thing."""


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (spoken, "Speak."),
        (partial(partial(spoken)), "Speak."),
        (SimpleNamespace(score=spoken), "Speak."),
        (SimpleNamespace(loss=Spoken), "A thing."),
        (Spoken(), "A thing."),
        (lambda: None, ""),
    ],
)
def test_what_does_the_work_speaks(entry: object, said: str) -> None:
    assert docstring(entry) == said


def test_a_docstring_is_taken_apart() -> None:
    assert summary(TEXT) == "A network of some depth."
    assert details(TEXT) == "More of it."
    assert section(TEXT, "Source") == "A paper, section 2."
    assert section(TEXT, "When") == ""
    assert arguments(TEXT) == {
        "depth": "Layers with weights: all of them.",
        "widths": "Channels. free: not an argument.",
    }
    assert arguments("") == {}
