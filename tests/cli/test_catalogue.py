import json
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cli import catalogue
from pdsearch.cli.catalogue import KINDS, describe, names, part_to_json
from pdsearch.errors import ConfigError
from pdsearch.registry import NoParams, Registry, parameter


@dataclass(frozen=True)
class WarmParams:
    heat: float = parameter(4.0, help="how warm", low=1, high=20, log=True)
    mode: str = parameter("a", help="which way", choices=("a", "b"))
    free: int = parameter(3, help="anything")
    least: float = parameter(0.5, help="no top", low=0)


def score_warmly() -> None:
    """Score weights
    by their warmth.

    A longer story,
    in two lines.

    And its end.

    When:
        In winter,
        at night.

    Cost:
        Coal.

    Source:
        Someone, "On warmth", 2020,
        section 2.

    Raises:
        ValueError: Never.
    """


class Stack:
    """A stack of layers."""


def undocumented() -> None:
    pass


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[Any] = Registry("part", "pdsearch.cli")
    registry._discovered = True
    registry.add("warm")(SimpleNamespace(score=score_warmly, params=WarmParams))
    registry.add("plain")(SimpleNamespace(loss=undocumented, params=NoParams))
    registry.add("stack")(partial(Stack))
    registry.add("object")(Stack())
    monkeypatch.setattr(catalogue, "_registry", {"parts": registry}.__getitem__)


def test_names_are_sorted() -> None:
    assert names("parts") == ["object", "plain", "stack", "warm"]


def test_a_part_is_described_by_its_docstring() -> None:
    part = describe("parts", "warm")
    assert part.summary == "Score weights by their warmth."
    assert part.source == 'Someone, "On warmth", 2020, section 2.'
    assert part.details == "A longer story, in two lines.\n\nAnd its end."
    assert (part.when, part.cost) == ("In winter, at night.", "Coal.")


@pytest.mark.parametrize("name", ["stack", "object"])
def test_classes_and_their_objects_speak_through_the_class(name: str) -> None:
    part = describe("parts", name)
    assert (part.summary, part.source, part.parameters) == ("A stack of layers.", "", ())


def test_a_part_that_says_nothing_is_described_by_nothing() -> None:
    part = describe("parts", "plain")
    assert (part.summary, part.source, part.parameters) == ("", "", ())
    assert (part.details, part.when, part.cost) == ("", "", "")


def test_parameters_are_those_of_the_dataclass() -> None:
    by_name = {info.name: info for info in describe("parts", "warm").parameters}
    assert {name: info.range for name, info in by_name.items()} == {
        "heat": "1 to 20, log",
        "mode": "a | b",
        "free": "any",
        "least": "0 to inf",
    }
    assert (by_name["heat"].type, by_name["heat"].default, by_name["heat"].help) == ("float", 4.0, "how warm")


def test_a_part_is_plain_json() -> None:
    value = part_to_json(describe("parts", "warm"))
    assert json.loads(json.dumps(value)) == value


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_registry(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert all(describe(kind, name).name == name for name in names(kind))


def test_an_unknown_kind_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="methods, losses, models, sources, augmentations"):
        names("method")
