from dataclasses import dataclass
from typing import Any

import pytest

from pdsearch.errors import ConfigError
from pdsearch.registry import NoParams, make_params, parameter


@dataclass(frozen=True)
class Example:
    weight: float = parameter(0.5, help="a share", low=0.0, high=1.0)
    rounds: int = parameter(3, help="a count", low=1, high=9)
    mode: str = parameter("a", help="a choice", choices=("a", "b"))
    flag: bool = parameter(False, help="a switch", choices=(False, True))
    free: str = parameter("x", help="anything")


def test_names_set_fields_and_the_rest_keeps_its_default() -> None:
    assert make_params(Example, (("mode", "b"), ("weight", 1))) == Example(weight=1, mode="b")
    assert make_params(Example, (("flag", True), ("free", "y"))) == Example(flag=True, free="y")
    assert make_params(NoParams, ()) == NoParams()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", 1.5, r"weight: must be in \[0.0, 1.0\], got 1.5"),
        ("weight", float("nan"), "weight: must be in"),
        ("weight", "0.5", "weight: must be a number, got '0.5'"),
        ("weight", True, "weight: must be a number"),
        ("rounds", 2.5, "rounds: must be a whole number"),
        ("rounds", 10, r"rounds: must be in \[1, 9\]"),
        ("mode", "c", "mode: must be one of a, b"),
        ("flag", 1, "flag: must be one of False, True"),
        ("wieght", 1.0, "unknown parameter 'wieght'"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make_params(Example, ((name, value),), where="distill.example")
    assert str(caught.value).startswith("distill.example: ")


def test_a_typo_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'weight'"):
        make_params(Example, (("wieght", 1.0),))
    with pytest.raises(ConfigError, match=r"known: none"):
        make_params(NoParams, (("weight", 1.0),))
