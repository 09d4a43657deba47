"""A student starts from its own seed, and its record holds its shape and size."""

from dataclasses import replace

import pytest
import torch

from pdsearch.errors import TrialError
from pdsearch.models import count_params
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import Teacher
from pdsearch.pipeline.prune import teacher
from pdsearch.pipeline.student import Student, student
from pdsearch.specs import StudentSpec, TrialSpec
from tests.pipeline.digits import ALONE, DENSE, SPEC, data, distilled, finish, pruned

SHAPED = StudentSpec("from_teacher")


def made(spec: TrialSpec, at: WorkerContext) -> tuple[Student, Teacher]:
    images = data(spec, at)
    network: Teacher = finish(teacher(spec, images, at))[1]
    return student(spec, images, network, at), network


def test_its_facts_are_those_of_its_network(here: WorkerContext) -> None:
    images = data(ALONE, here)
    found = student(ALONE, images, None, here)
    assert found.params == count_params(found.model)
    assert found.shape == ALONE.student
    assert found.facts() == {
        "model": "convnet_s",
        "options": {},
        "params": found.params,
        "flops": found.flops,
    }
    # First layer alone: 8x8 positions, 8 filters of 3x3, two operations each.
    assert found.flops > 8 * 8 * 8 * 9 * 2


def test_its_weights_come_from_the_trial_s_seed_and_not_the_teacher_s(here: WorkerContext) -> None:
    images = data(ALONE, here)

    def weights(spec: TrialSpec) -> torch.Tensor:
        return torch.cat([p.flatten() for p in student(spec, images, None, here).model.parameters()])

    other_teacher = replace(ALONE, teacher=replace(ALONE.teacher, seed=9))
    assert torch.equal(weights(ALONE), weights(other_teacher))
    assert not torch.equal(weights(ALONE), weights(distilled(ALONE, seed=1)))


def test_every_trial_gets_a_fresh_one(here: WorkerContext) -> None:
    images = data(ALONE, here)
    assert student(ALONE, images, None, here).model is not student(ALONE, images, None, here).model


def test_one_shaped_by_a_dense_teacher_is_as_large_and_by_a_pruned_one_no_larger(here: WorkerContext) -> None:
    same, dense = made(replace(DENSE, student=SHAPED), here)
    assert same.params == count_params(dense.model)
    smaller, _ = made(replace(pruned(ratio=0.9), student=SHAPED), here)
    assert smaller.params < same.params
    assert smaller.shape.model == "convnet_s"
    assert smaller.facts()["options"] == {
        name: list(value) if isinstance(value, tuple) else value for name, value in smaller.shape.options
    }


def test_one_that_is_to_be_shaped_needs_a_teacher(here: WorkerContext) -> None:
    spec = replace(ALONE, student=SHAPED)
    with pytest.raises(TrialError, match="needs one"):
        student(spec, data(SPEC, here), None, here)
