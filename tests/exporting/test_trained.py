"""A student is taken from its study's artifacts with what it must know of its images."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from pdsearch.analysis import Row, read_study
from pdsearch.artifacts import Store
from pdsearch.errors import ConfigError, StorageError
from pdsearch.exporting.trained import trained_student, trained_teacher


@pytest.fixture
def row(study: Path) -> Row:
    return next(row for row in read_study(study).rows if row.kind == "confirm")


def test_what_the_file_will_say(study: Path, row: Row) -> None:
    store = Store(study.parent / "artifacts")
    found = trained_student(row, store)
    assert found is not None
    weights, card = found
    assert (card.model, card.options, card.key) == ("convnet_s", (("widths", (4, 4)),), row.key)
    assert (card.channels, card.image_size, len(card.classes)) == (1, 8, 10)
    ((_, key),) = store.entries("data")
    entry = store.find("data", key)
    assert entry is not None
    data = load_file(entry.path("tensors.safetensors"))
    assert (list(card.mean), list(card.std)) == (data["mean"].tolist(), data["std"].tolist())
    assert weights["classifier.weight"].shape == (10, 4)


def test_a_stopped_trial_has_no_student(study: Path, row: Row) -> None:
    assert trained_student(replace(row, student_artifact=None), Store(study.parent / "artifacts")) is None


def test_a_student_that_nobody_taught_has_no_teacher_to_export(study: Path, row: Row) -> None:
    with pytest.raises(ConfigError, match="no teacher to export"):
        trained_teacher(replace(row, teacher_key=None), Store(study.parent / "artifacts"))


@pytest.mark.parametrize("change", ["student", "data"])
def test_a_missing_artifact_is_named(study: Path, row: Row, change: str) -> None:
    spec = json.loads(row.spec)
    spec["data"]["split_seed"] = 99
    lost = (
        replace(row, student_artifact="0" * 64)
        if change == "student"
        else replace(row, spec=json.dumps(spec))
    )
    with pytest.raises(StorageError, match=f"the {change} artifact"):
        trained_student(lost, Store(study.parent / "artifacts"))
