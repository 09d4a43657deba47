import json

import pytest

from pdsearch.cli.catalogue import KINDS, ParameterInfo, PartDescription
from pdsearch.cli.main import main
from pdsearch.cli.verbs import list as listing
from pdsearch.errors import ConfigError

HEAT = ParameterInfo("heat", "float", 4.0, 1.0, 20.0, None, True, "how warm")


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe(kind: str, name: str) -> PartDescription:
        if name != "one":
            raise ConfigError(f"unknown {name}")
        told = ("It does it well.\n\nAlways.", "Often.", "Little.") if kind == "losses" else ()
        return PartDescription(
            kind, name, "Does one thing.", "A paper.", (HEAT,) if kind == "losses" else (), *told
        )

    monkeypatch.setattr(listing, "describe", describe)
    monkeypatch.setattr(listing, "names", {kind: ["one"] for kind in KINDS}.__getitem__)


def test_all_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["kind", *KINDS]


def test_one_kind_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses"]) == 0
    assert capsys.readouterr().out == "kind\tname\twhat it is\nlosses\tone\tDoes one thing.\n"


def test_one_part_is_shown_with_source_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses", "one"]) == 0
    text = capsys.readouterr().out
    assert "distill.loss: one" in text
    assert text.splitlines()[1:6] == [
        "Does one thing.",
        "It does it well.",
        "Always.",
        "When: Often.",
        "Cost: Little.",
    ]
    assert "Source: A paper." in text
    assert "heat\tfloat\t4.0\t1 to 20, log\thow warm" in text


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses", "one", "--json"]) == 0
    (part,) = json.loads(capsys.readouterr().out)
    assert part["parameters"][0]["high"] == 20.0


def test_an_unknown_part_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "losses", "two"]) == 2
    assert capsys.readouterr().err == "pdsearch: unknown two\n"
