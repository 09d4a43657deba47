from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pdsearch.space import json_schema
from pdsearch.space.document import to_plain
from pdsearch.space.reader import read_yaml
from tests.space.documents import document, space
from tests.space.parts import CATALOG
from tests.space.test_canonical import FULL

Draft202012Validator: Any = import_module("jsonschema").Draft202012Validator  # it ships no types
SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema(CATALOG))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema(CATALOG))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_it_accepts_the_shipped_spaces(path: Path) -> None:
    Draft202012Validator(json_schema()).validate(to_plain(read_yaml(path.read_bytes(), path.name)))


@pytest.mark.parametrize("sections", [{}, FULL, {"confirm": "off", "search": {"trials": 2, "stop": "off"}}])
def test_it_accepts_what_load_accepts(sections: dict[str, Any]) -> None:
    VALIDATOR.validate(document(**sections))
    VALIDATOR.validate(space(**sections).to_json())


@pytest.mark.parametrize(
    "sections",
    [
        {"teacher": {"model": "mine.nets:big"}, "student": {"model": "mine:tiny"}},
        {"distill": {"loss": "mine:squared", "weight_of_my_own": 2}},
        {"space": {"distill.loss": ["kd", "mine:squared"]}},
    ],
)
def test_it_accepts_code_of_one_s_own(sections: dict[str, Any]) -> None:
    VALIDATOR.validate({**document({}), **sections})


@pytest.mark.parametrize(
    "sections",
    [
        {"distill": {"loss": "kd", "weight_of_my_own": 2}},
        {"serach": {}},
        {"search": {"trails": 1}},
        {"distill": {"temprature": 4}},
        {"prune": {"params": {"batch": 4}}},
        {"data": {}},
        {"data": {"source": "digit"}},
        {"teacher": {"model": "resnet21"}},
        {"teacher": {"model": "resnet20", "checkpoint": 3}},
        {"space": {"distill.temprature": [1]}},
        {"space": {"data.val_fraction": [0.1]}},
        {"space": {"data.options.label": ["fine"]}},
        {"space": {"distill.temperature": {"low": 1, "hihg": 2}}},
        {"search": {"stop": None}},
        {"confirm": False},
        {"study": "a/b"},
        {"train": {"teacher": {"lr": "fast"}}},
    ],
)
def test_it_refuses_what_load_refuses(sections: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**document(), **sections})


def test_it_helps_to_complete() -> None:
    found = json_schema(CATALOG)
    assert found["$defs"]["StudentSection"]["properties"]["model"]["anyOf"][0]["enum"][-3:] == [
        "from_teacher",
        "resnet20",
        "resnet8",
    ]
    assert found["$defs"]["DistillSection"]["properties"]["alpha"]["description"] == "weight of the soft term"
