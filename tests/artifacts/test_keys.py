import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pdsearch.artifacts import stage_key
from pdsearch.artifacts.base import check_name, is_key, is_stage
from pdsearch.errors import StorageError
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    PruneSpec,
    Recipe,
    StudentSpec,
    TeacherSpec,
    TrialSpec,
    digest,
    keyed,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "keys.json").read_text())

RECIPE = Recipe(epochs=3, lr=0.1, milestones=(1, 2))
SPEC = TrialSpec(
    data=DataSpec(source="digits", fingerprint="f" * 64),
    teacher=TeacherSpec(model="convnet_l", seed=0, recipe=RECIPE),
    prune=PruneSpec(method="magnitude", ratio=0.36, recipe=RECIPE),
    student=StudentSpec(model="convnet_s", options=(("width", 4),)),
    distill=DistillSpec(recipe=RECIPE, params=(("alpha", 0.9), ("temperature", 4.0))),
)


SPECS: dict[str, Any] = {
    "data": SPEC.data,
    "teacher": SPEC.teacher,
    "prune": SPEC.prune,
    "student": SPEC.student,
}
SPECS |= {"distill": SPEC.distill, "trial": SPEC}


def _keys() -> dict[str, str]:
    found = {name: digest(keyed(spec)) for name, spec in SPECS.items()}
    found["stage"] = stage_key("teacher", 1, fields=keyed(SPEC.teacher), upstream={"data": "a" * 64})
    return found


@pytest.mark.parametrize("name", sorted(GOLDEN["keys"]))
def test_published_keys_never_change(name: str) -> None:
    assert _keys()[name] == GOLDEN["keys"][name]


def test_every_field_ever_published_is_listed_with_its_neutral_value() -> None:
    kinds: list[Any] = [DataSpec, Recipe, TeacherSpec, PruneSpec, StudentSpec, DistillSpec, TrialSpec]
    found = {kind.__name__: _neutral_values(kind) for kind in kinds}
    assert json.loads(json.dumps(found)) == GOLDEN["later_fields"]
    listed = {kind.__name__: sorted(f.name for f in dataclasses.fields(kind)) for kind in kinds}
    assert listed == GOLDEN["fields"]


def _neutral_values(kind: Any) -> dict[str, Any]:
    return {f.name: f.metadata["neutral"] for f in dataclasses.fields(kind) if "neutral" in f.metadata}


@pytest.mark.parametrize(
    "other",
    [
        stage_key("prune", 1, fields={"a": 1}, upstream={}),
        stage_key("teacher", 2, fields={"a": 1}, upstream={}),
        stage_key("teacher", 1, fields={"a": 2}, upstream={}),
        stage_key("teacher", 1, fields={"a": 1}, upstream={"data": "b" * 64}),
    ],
)
def test_each_part_counts(other: str) -> None:
    assert other != stage_key("teacher", 1, fields={"a": 1}, upstream={})


def test_only_names_of_entries_pass() -> None:
    check_name("teacher", "a" * 64, where="here")
    assert is_stage("outputs-2")
    assert not any(is_stage(name) for name in ("", ".tmp", "Teacher", "a/b", "..", "a" * 65))
    assert not any(is_key(name) for name in ("", "a" * 63, "g" * 64, "a" * 65, "../" + "a" * 61))
    with pytest.raises(StorageError, match="here"):
        check_name("teacher", "..", where="here")
