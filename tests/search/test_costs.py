"""What a trial needs before its student is trained."""

from dataclasses import replace
from typing import Any

import pytest

from pdsearch.pipeline.keys import dense_key, round_keys
from pdsearch.search.planning.simulate import dense, needs, teacher_epochs
from tests.pipeline.digits import ALONE, DENSE, SPEC, pruned


def test_a_student_alone_needs_nothing() -> None:
    assert needs(ALONE) == ()
    assert teacher_epochs(ALONE) == 0


def test_a_dense_teacher_needs_itself() -> None:
    (need,) = needs(DENSE)
    assert (need.stage, need.key, need.epochs, need.label) == ("teacher", dense_key(DENSE), 2, "convnet_s")
    assert dense(SPEC) == need


def test_a_pruned_teacher_needs_the_dense_one_and_every_round() -> None:
    spec = pruned(ratio=0.59)
    found = needs(spec)
    assert [need.key for need in found] == [dense_key(spec), *round_keys(spec)]
    assert [need.epochs for need in found] == [2] * 5
    assert found[-1].label == "convnet_s magnitude round 4, 59 %"
    assert teacher_epochs(spec) == 10


def test_a_control_costs_as_much_and_loses_nothing() -> None:
    spec = pruned(method="train_on", ratio=0.59)
    assert needs(spec)[-1].label == "convnet_s train_on round 4"
    assert teacher_epochs(spec) == teacher_epochs(pruned(ratio=0.59)) == 10


@pytest.mark.parametrize(
    ("fields", "epochs", "stored"),
    [
        ({"recovery": "none"}, [2, 0, 0], [True, False, True]),
        ({"at": "init"}, [0, 2], [False, True]),
        ({"recovery": "finetune"}, [2, 2, 2], [True, True, True]),
    ],
)
def test_rounds_train_as_their_recovery_says(
    fields: dict[str, Any], epochs: list[int], stored: list[bool]
) -> None:
    found = needs(pruned(**fields))
    assert [need.epochs for need in found] == epochs
    assert [need.stored for need in found] == stored


def test_a_teacher_from_a_file_takes_no_epochs() -> None:
    spec = replace(DENSE, teacher=replace(DENSE.teacher, checkpoint="there.pth"))
    assert teacher_epochs(spec) == 0
