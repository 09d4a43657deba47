import json
from dataclasses import asdict, dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from pdsearch.cli.main import main
from pdsearch.cli.verbs import list as listing
from pdsearch.cli.verbs.list import KINDS, arguments, describe, names, with_layers
from pdsearch.models import models
from pdsearch.registry import NoParams, Registry, parameter
from tests.own_code import Author


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


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: Registry[Any] = Registry("part", "pdsearch.cli")
    registry._discovered = True
    registry.add("warm")(SimpleNamespace(score=score_warmly, params=WarmParams))
    registry.add("plain")(SimpleNamespace(loss=undocumented, params=NoParams))
    registry.add("stack")(partial(Stack))
    registry.add("object")(Stack())
    monkeypatch.setattr(listing, "_registry", {"losses": registry}.__getitem__)


@pytest.mark.usefixtures("parts")
def test_a_part_is_described_by_its_docstring() -> None:
    part = describe("losses", "warm")
    assert part.summary == "Score weights by their warmth."
    assert part.source == 'Someone, "On warmth", 2020, section 2.'
    assert part.details == "A longer story, in two lines.\n\nAnd its end."
    assert (part.when, part.cost) == ("In winter, at night.", "Coal.")


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("name", ["stack", "object"])
def test_classes_and_their_objects_speak_through_the_class(name: str) -> None:
    part = describe("losses", name)
    assert (part.summary, part.source, part.parameters) == ("A stack of layers.", "", ())


@pytest.mark.usefixtures("parts")
def test_a_part_that_says_nothing_is_described_by_nothing() -> None:
    part = describe("losses", "plain")
    assert (part.summary, part.source, part.parameters) == ("", "", ())
    assert (part.details, part.when, part.cost) == ("", "", "")


@pytest.mark.usefixtures("parts")
def test_parameters_are_those_of_the_dataclass() -> None:
    by_name = {info.name: info for info in describe("losses", "warm").parameters}
    assert {name: info.range for name, info in by_name.items()} == {
        "heat": "1 to 20, log",
        "mode": "a | b",
        "free": "any",
        "least": "0 to inf",
    }
    assert (by_name["heat"].type, by_name["heat"].default, by_name["heat"].help) == ("float", 4.0, "how warm")


@pytest.mark.usefixtures("parts")
def test_one_kind_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kind\tname\twhat it is"
    assert [line.split("\t")[1] for line in lines[1:]] == ["object", "plain", "stack", "warm"]
    assert lines[-1] == "losses\twarm\tScore weights by their warmth."


@pytest.mark.usefixtures("parts")
def test_one_part_is_shown_with_source_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses", "warm"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[:6] == [
        "warm (distill.loss: warm)",
        "Score weights by their warmth.",
        "A longer story, in two lines.",
        "And its end.",
        "When: In winter, at night.",
        "Cost: Coal.",
    ]
    assert 'Source: Someone, "On warmth", 2020, section 2.' in text
    assert "heat\tfloat\t4.0\t1 to 20, log\thow warm" in text
    assert main(["list", "losses", "warm", "--json"]) == 0
    (part,) = json.loads(capsys.readouterr().out)
    assert part["parameters"][0]["high"] == 20
    assert main(["list", "losses", "two"]) == 2
    assert capsys.readouterr().err.startswith("pdsearch: unknown part 'two'")


def test_a_model_says_how_large_it_is_and_what_its_options_are() -> None:
    part = describe("models", "resnet20")
    options = {info.name: info for info in part.parameters}
    assert part.weights == 272_474  # as in tests/models/families/test_families.py
    assert list(options) == ["depth", "widths", "inner", "shortcut", "init"]
    assert (options["depth"].default, options["depth"].help) == (20, "Layers with weights, 6 n + 2.")
    assert (options["widths"].type, options["widths"].default) == ("list[int]", [16, 16, 32, 64])
    assert (
        options["inner"].help
        == "Channels inside each of the 3 n blocks, in order; those of the stage by default."
    )


def test_a_model_of_the_user_s_own_is_described_as_far_as_it_speaks(author: Author) -> None:
    part = describe("models", f"{author.write()}:flat")
    assert (part.summary, part.weights) == ("", 3 * 32 * 32 * 4 + 4 + 4 * 10 + 10)
    assert [(info.name, info.type, info.help) for info in part.parameters] == [("width", "", "")]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet20", {"stages.0": "stage1", "stages.2": "stage3", "stages.1.0": ""}),
        ("torchvision/resnet18", {"relu": "stage1", "layer4": "stage5", "layer4.0": ""}),
        ("torchvision/regnet_y_400mf", {"trunk_output.block4": "stage5"}),
        ("timm/vit_tiny_patch16_224", {"blocks.3": "", "norm": "stage1"}),
    ],
)
def test_a_model_s_layers_are_shown_with_the_stages_that_they_are(name: str, stages: dict[str, str]) -> None:
    found = {layer.name: layer for layer in with_layers(describe("models", name)).layers}
    assert {layer: found[layer].stage for layer in stages} == stages
    assert all(len(layer.shape) == 3 for layer in found.values())


@pytest.mark.parametrize("name", [*models, "torchvision/resnet18", "timm/resnet18"])
def test_a_model_is_described_as_a_thing(name: str) -> None:
    part = describe("models", name)
    assert part.summary
    assert part.summary.split()[0] not in {"Build", "Make", "Return"}
    assert all(info.help for info in part.parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_registry_whose_parts_are_plain_json(kind: str) -> None:
    assert all(json.loads(json.dumps(asdict(describe(kind, name))))["name"] == name for name in names(kind))


ARGS = """A net.

Args:
    depth: Layers: all
        of them.
    widths: Channels.

        free: none.

Raises:
    E: No.
"""


def test_arguments_are_read_from_a_docstring() -> None:
    assert arguments(ARGS) == {"depth": "Layers: all of them.", "widths": "Channels. free: none."}
    assert arguments("") == {}
