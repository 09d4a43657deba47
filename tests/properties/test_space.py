"""Whatever is written becomes a space or one ConfigError, and every point of a space is a trial."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.config import Parameter, Space, load, parse
from pdsearch.config.yaml_reader import apply_overrides, read_yaml
from pdsearch.config.yaml_tree import to_plain
from pdsearch.errors import ConfigError
from pdsearch.records.codec import decode, encode
from pdsearch.specs import TrialSpec, digest, keyed
from tests.config.documents import document

RICH: dict[str, Any] = document(
    {
        "prune.method": ["none", "magnitude", "taylor"],
        "prune.ratio": {"choices": [0.36, 0.59], "when": {"prune.method": ["magnitude", "taylor"]}},
        "distill.warmup_epochs": {"low": 1, "high": 9, "step": 2, "when": {"distill.loss": ["dkd"]}},
        "prune.schedule": {
            "choices": ["geometric", "linear"],
            "when": {"prune.method": ["magnitude", "taylor"]},
        },
        "prune.rounds": {"low": 1, "high": 4, "when": {"prune.schedule": ["linear"]}},
        "distill.loss": ["kd", "dkd", "ce"],
        "distill.temperature": {"low": 1, "high": 10, "log": True, "when": {"distill.loss": ["kd", "dkd"]}},
        "train.distill.milestones": [[5], [6, 9]],
        "train.distill.batch_size": {"low": 16, "high": 256, "log": True},
        "teacher.seed": [0, 1, 2],
        "student.model": ["convnet_s", "from_teacher"],
    },
    student=None,
    distill={"alpha": 0.5},
    search={"trials": 9, "timeout": "1h", "stop": {"halving": {"min_epochs": 3}}},
    constraints=["student.params <= 15e6"],
)
SPACE = parse(RICH)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["off", "none", "kd", "prune.method", "student.params <= 5", "9h", "ray://x"])
)


def nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
        max_leaves=6,
    )


VALUES = nested(SCALARS)


def refusal(call: Callable[[], object]) -> str:
    """Return the message of a ConfigError, or nothing; any other exception fails the test."""
    try:
        call()
    except ConfigError as error:
        return str(error)
    return ""


def sampled(data: st.DataObject, space: Space) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in space.parameters:
        if parameter.active(values):
            values[parameter.name] = data.draw(point(parameter), label=parameter.name)
    return values


def point(parameter: Parameter) -> st.SearchStrategy[Any]:
    low, high = parameter.low, parameter.high
    if low is None or high is None:
        return st.sampled_from(parameter.choices)
    if parameter.kind == "float":
        return st.floats(low, high)
    step = int(parameter.step or 1)
    return st.integers(0, int(high - low) // step).map(lambda k: int(low) + k * step)


def mutated(data: st.DataObject, value: Any) -> Any:
    """Replace, remove or rename something, somewhere in a document."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        changed = copy.copy(value)
        what = data.draw(st.sampled_from(["inside", "inside", "inside", "remove", "rename", "double"]))
        if what == "inside":
            changed[key] = mutated(data, value[key])
        if what in ("remove", "rename"):
            del changed[key]
        if what in ("rename", "double"):
            changed[data.draw(st.sampled_from(sorted(value)) | st.text(max_size=8))] = value[key]
        return changed
    if isinstance(value, list) and value and data.draw(st.booleans()):
        return [mutated(data, item) for item in value]
    return data.draw(VALUES)


@given(st.data())
@settings(max_examples=200)
def test_every_sampled_point_is_a_trial(data: st.DataObject) -> None:
    values = sampled(data, SPACE)
    spec = SPACE.resolve(values)
    assert (spec.prune is None) == (values["prune.method"] == "none")
    assert decode(TrialSpec, json.loads(json.dumps(encode(spec)))) == spec
    assert digest(keyed(spec)) == digest(keyed(SPACE.resolve(json.loads(json.dumps(values)))))


@given(st.data())
@settings(max_examples=50)
def test_every_point_of_the_unpruned_space_is_one_of_the_space(data: st.DataObject) -> None:
    dense = SPACE.unpruned()
    values = sampled(data, dense)
    assert dense.resolve(values) == SPACE.resolve({"prune.method": "none", **values})


@given(st.data())
@settings(max_examples=300)
def test_a_mutated_document_is_a_space_or_a_config_error(data: st.DataObject) -> None:
    changed = mutated(data, mutated(data, RICH))
    found: list[Space] = []
    message = refusal(lambda: found.append(parse(changed)))
    if not found:
        assert message.startswith("space")
        return
    space = found[0]
    assert parse(json.loads(json.dumps(space.to_json()))) == space
    space.resolve(space.defaults())
    space.resolve(sampled(data, space))
    space.unpruned().resolve(space.unpruned().defaults())


@given(st.text() | st.text(alphabet="ab:-[]{}&*!|>'\"#%@`?,\n \t\\0.~<", max_size=60))
@settings(max_examples=500)
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    assert refusal(lambda: read_yaml(text.encode("utf-8", "surrogatepass"), "f"))[:2] in ("", "f:")


@given(st.binary(max_size=60))
@settings(max_examples=200)
def test_any_bytes_are_a_document_or_a_config_error(content: bytes) -> None:
    assert refusal(lambda: read_yaml(content, "f"))[:2] in ("", "f:")


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_any_override_is_put_in_place_or_a_config_error(text: str) -> None:
    root = read_yaml(b"study: x\nsearch: {trials: 1}\n", "f")
    message = refusal(lambda: apply_overrides(root, [text, f"search.trials={text}"]))
    assert message[:6] in ("", "--set ")


@given(nested(SCALARS.filter(lambda value: not isinstance(value, float) or math.isfinite(value))))
@settings(max_examples=200)
def test_finite_values_survive_the_way_through_yaml(value: Any) -> None:
    text = json.dumps({"a": value}, ensure_ascii=False).encode()
    found: list[object] = []
    if not refusal(lambda: found.append(to_plain(read_yaml(text, "f")))):
        assert found == [{"a": value}]


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029", "\x9f"])
def test_a_character_that_yaml_would_change_is_refused(character: str) -> None:
    text = json.dumps({"a": f"x {character} y"}, ensure_ascii=False).encode()
    assert refusal(lambda: read_yaml(text, "f")).startswith("f:1:")


def test_a_file_of_nearly_a_space_is_refused_in_one_error(tmp_path: Any) -> None:
    lines = yaml.safe_dump(RICH).splitlines(keepends=True)
    path = tmp_path / "f.yaml"
    for i in range(len(lines)):
        path.write_text("".join([*lines[:i], *lines[i + 1 :]]), encoding="utf-8")
        assert refusal(lambda: load(path))[: len(str(path))] in ("", str(path))
    path.write_text("".join(lines), encoding="utf-8")
    assert load(path, ["study=study"]) == SPACE
    with pytest.raises(ConfigError):
        load(path, ["search.trials=0"])
