"""The JSON Schema and the reference of space files."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdsearch.config import json_schema, load, parse
from pdsearch.config.validators import METRICS
from pdsearch.config.yaml_reader import read_yaml
from pdsearch.config.yaml_tree import to_plain
from tests.config.documents import document, space
from tests.config.reference import PAGE, written
from tests.config.test_serialize import FULL
from tests.own_code import Author

Draft202012Validator: Any = import_module("jsonschema").Draft202012Validator  # it ships no types
SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))


@cache
def validator() -> Any:
    return Draft202012Validator(json_schema())


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_it_accepts_the_shipped_spaces(path: Path) -> None:
    Draft202012Validator(json_schema()).validate(to_plain(read_yaml(path.read_bytes(), path.name)))


@pytest.mark.parametrize("sections", [{}, FULL, {"confirm": "off", "search": {"trials": 2, "stop": "off"}}])
def test_it_accepts_what_load_accepts(sections: dict[str, Any]) -> None:
    validator().validate(document(**sections))
    validator().validate(space(**sections).to_json())


OWN = """
from dataclasses import dataclass
from pdsearch.registry import parameter


@dataclass(frozen=True)
class Params:
    power: float = parameter(1.0, help="of it", low=0.0, high=4.0)
    temperature: str = parameter("hot", help="a word, where kd's is a number")
    layers: tuple[int, ...] = parameter((1,), help="to look at")
    batches: float = parameter(0.5, help="a share, where taylor's is a count", low=0.0, high=1.0)


def score(model, batches, generator, params):
    return {}


def loss(student, teacher, targets, params):
    return 0


score.params = loss.params = Params
"""


def flow(text: str) -> dict[str, Any]:
    """Sections as a space file has them, written in a line."""
    found = to_plain(read_yaml(f"{{{text}}}".encode(), "test"))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "sections",
    [
        "prune: {method: X:score, ratio: 0.5}, space: {prune.params.power: {low: 0, high: 2}}",
        "prune: {method: X:score, ratio: 0.5, params: {power: 2, batches: 0.25, layers: [1, 2]}}",
        "prune: {method: X:score, ratio: 0.5}, space: {prune.params.layers: [[1], [2, 3]]}",
        "prune: {ratio: 0.5}, space: {prune.method: X:score, prune.params.power: [1, 2]}",
        "space: {prune.method: [none, taylor, X:score],"
        " prune.ratio: {choices: [0.36], when: {prune.method: [taylor, X:score]}},"
        " prune.params.power: {low: 0, high: 2, when: {prune.method: [X:score]}}}",
        "prune: {params: {power: 3}}, space: {prune.method: {choices: [none, X:score]},"
        " prune.ratio: {choices: [0.36], when: {prune.method: [X:score]}}}",
        "distill: {loss: X:loss}, space: {distill.temperature: [hot, cold], distill.layers: [[3]]}",
        "distill: {loss: X:loss, temperature: cold, batches: 0.5}",
        "distill: {power: 2}, space: {distill.loss: [kd, X:loss],"
        " distill.batches: {low: 0.1, high: 0.9, when: {distill.loss: [X:loss]}}}",
        "prune: {method: X:score, ratio: 0.5}, distill: {loss: X:loss},"
        " space: {prune.params.power: {low: 0, high: 2}, distill.power: {low: 1, high: 2}}",
    ],
)
def test_it_accepts_parameters_of_one_s_own_wherever_load_does(author: Author, sections: str) -> None:
    named = flow(sections.replace("X:", f"{author.write(OWN)}:"))
    given = {**document({}), "search": {"trials": 1}, **named}
    parse(given)
    validator().validate(given)


@pytest.mark.parametrize(
    "sections",
    [
        "prune: {method: taylor}, space: {prune.params.batch: [1]}",
        "space: {prune.method: [none, taylor], prune.params.batch: [1]}",
        "space: {prune.params.batches: [many]}",
        "space: {distill.temperature: [hot]}",
        "prune: {params: {batches: 0.5}}",
        "distill: {temperature: hot}",
        "distill: {loss: mine:loss}, space: {prune.params.batch: [1]}",
        "prune: {method: mine:score}, space: {distill.temprature: [1]}",
        "prune: {method: mine:score, ratoi: 0.5}",
        "prune: {method: mine:score}, space: {prune.ratoi: [0.5]}",
        "distill: {loss: mine:loss}, space: {train.distill.epoch: [5]}",
        "student: {model: mine:tiny}, space: {distill.temprature: [1]}",
    ],
)
def test_typos_beside_code_of_one_s_own_are_seen(sections: str) -> None:
    assert not validator().is_valid({**document({}), **flow(sections)})


@pytest.mark.parametrize(
    "sections",
    [
        "distill: {loss: kd, weight_of_my_own: 2}",
        "serach: {}",
        "search: {trails: 1}",
        "distill: {temprature: 4}",
        "prune: {params: {batch: 4}}",
        "data: {}",
        "data: {source: digit}",
        "teacher: {model: resnet21}",
        "teacher: {model: resnet20, checkpoint: 3}",
        "space: {distill.temprature: [1]}",
        "space: {prune.method: [none, magnitud]}",
        "space: {prune.method: {choices: [none, magnitud]}}",
        "space: {teacher.model: [resnet21]}",
        "space: {train.distill.schedule: [cosin]}",
        "space: {prune.scope: globl}",
        "space: {data.augment: [crop_flop]}",
        "space: {data.val_fraction: [0.1]}",
        "space: {data.options.label: [fine]}",
        "space: {distill.temperature: {low: 1, hihg: 2}}",
        "space: {distill.temperature: {low: 1}}",
        "space: {distill.temperature: {low: 1, high: 2, choices: [1]}}",
        "space: {distill.temperature: {choices: [1, 2], log: true}}",
        "space: {distill.alpha: {low: 0.1, high: 2.0}}",
        "space: {distill.alpha: [0.5, 2.0]}",
        "space: {prune.scope: {low: global, high: layer}}",
        "space: {prune.ratio: {choices: [0.36], when: {prune.method: [magnitud]}}}",
        "space: {prune.ratio: {choices: [0.36], when: {prune.method: magnitud}}}",
        "space: {prune.ratio: {choices: [0.36], when: {prune.methd: [magnitude]}}}",
        "space: {prune.ratio: [1.2]}",
        "space: {train.distill.epochs: {low: 0, high: 5}}",
        "constraints: [student.parms <= 1e6]",
        "search: {timeout: 2 hours}",
        "resources: {gpu: -1}",
        "search: {stop: null}",
        "confirm: false",
        "study: a/b",
        "train: {teacher: {lr: fast}}",
    ],
)
def test_it_refuses_what_load_refuses(sections: str) -> None:
    assert not validator().is_valid({**document(), **flow(sections)})


@pytest.mark.parametrize(
    ("sections", "right"),
    [
        ({"data": {"source": "image_folder", "root": "x", "options": {"image_size": 32}}}, True),
        ({"data": {"source": "image_folder", "root": "x", "options": {"image_sise": 32}}}, False),
        ({"data": {"source": "image_folder", "root": "x", "options": {"image_size": "large"}}}, False),
        ({"data": {"source": "callable", "options": {"function": "mine:read", "of_its_own": 1}}}, True),
        ({"teacher": {"model": "convnet_l", "options": {"widht": [4]}}}, False),
        ({"teacher": {"model": "mine:large", "options": {"widths": 3}}}, True),
    ],
)
def test_options_are_those_of_the_part_that_is_named(sections: dict[str, Any], right: bool) -> None:
    assert validator().is_valid({**document(), **sections}) == right


def test_it_helps_to_complete() -> None:
    found = json_schema()
    known = found["$defs"]["StudentSection"]["properties"]["model"]["anyOf"][0]["enum"]
    assert {"from_teacher", "resnet20", "resnet8"} <= {*known}
    assert found["$defs"]["DistillSection"]["properties"]["alpha"]["description"].startswith(
        "weight of the soft"
    )


TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)


def test_its_tables_are_up_to_date() -> None:
    assert written(TEXT) == TEXT, "run: python -m tests.config.reference"


def test_it_names_every_metric() -> None:
    for metric in METRICS:
        assert f"`{metric}`" in TEXT


@pytest.mark.parametrize("example", EXAMPLES)
def test_its_examples_load(example: str) -> None:
    given: Any = to_plain(read_yaml(example.encode(), "example"))
    parse({**document(), **given})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_spaces_load_without_a_warning(path: Any) -> None:
    found = load(path)
    # A search of minutes has fewer trials than its teachers need.
    assert [text for text in found.warnings if not text.startswith("search.trials is")] == []
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (found.resolve(found.defaults()).prune is None) == ("method" not in written.get("prune", {}))
    assert found.study == written["study"]
    assert f"`{path.name}`" in (path.parent / "README.md").read_text(encoding="utf-8")
