"""What every registered distillation loss keeps to; a new file under losses/ is found by itself."""

import dataclasses

import pytest
import torch
from torch import Tensor

from pdsearch.distillation import DistillationLoss, Outputs
from pdsearch.distillation.registry import losses

BATCH, CLASSES = 6, 5


@pytest.fixture(params=sorted(losses))
def entry(request: pytest.FixtureRequest) -> DistillationLoss:
    return losses.get(request.param)


def outputs(seed: int, *, scale: float = 3.0, grad: bool = False) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(BATCH, CLASSES, generator=generator)
    return Outputs(logits.requires_grad_(grad))


def targets() -> Tensor:
    return torch.randint(CLASSES, (BATCH,), generator=torch.Generator().manual_seed(9))


def test_is_a_finite_scalar_that_teaches_the_student_only(entry: DistillationLoss) -> None:
    student, teacher = outputs(0, grad=True), outputs(1, grad=True)
    value = entry.loss(student, teacher, targets(), entry.params())
    assert value.shape == ()
    assert bool(torch.isfinite(value))
    value.backward()
    assert student.logits.grad is not None
    assert bool(torch.isfinite(student.logits.grad).all())
    assert float(student.logits.grad.abs().max()) > 0
    assert teacher.logits.grad is None


def test_is_deterministic_and_changes_nothing(entry: DistillationLoss) -> None:
    student, teacher, labels = outputs(0), outputs(1), targets()
    before = torch.get_rng_state()
    first = entry.loss(student, teacher, labels, entry.params())
    assert torch.equal(first, entry.loss(student, teacher, labels, entry.params()))
    assert torch.equal(student.logits, outputs(0).logits)
    assert torch.equal(teacher.logits, outputs(1).logits)
    assert torch.equal(torch.get_rng_state(), before)


def test_stays_finite_for_enormous_logits(entry: DistillationLoss) -> None:
    for scale in (1e4, 1e-30, 0.0):
        student, teacher = outputs(0, scale=scale, grad=True), outputs(1, scale=scale)
        value = entry.loss(student, teacher, targets(), entry.params())
        value.backward()
        assert bool(torch.isfinite(value))
        assert student.logits.grad is not None
        assert bool(torch.isfinite(student.logits.grad).all())


def test_takes_half_precision(entry: DistillationLoss) -> None:
    student, teacher = outputs(0), outputs(1)
    single = entry.loss(student, teacher, targets(), entry.params())
    half = entry.loss(
        Outputs(student.logits.bfloat16()), Outputs(teacher.logits.bfloat16()), targets(), entry.params()
    )
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(single), rel=0.1, abs=0.05)


def test_the_order_of_a_batch_does_not_count(entry: DistillationLoss) -> None:
    student, teacher, labels = outputs(0), outputs(1), targets()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    shuffled = entry.loss(
        Outputs(student.logits[order]), Outputs(teacher.logits[order]), labels[order], entry.params()
    )
    assert float(shuffled) == pytest.approx(
        float(entry.loss(student, teacher, labels, entry.params())), rel=1e-5
    )


def test_targets_may_be_probabilities(entry: DistillationLoss) -> None:
    student, teacher, labels = outputs(0), outputs(1), targets()
    one_hot = torch.nn.functional.one_hot(labels, CLASSES).float()
    assert float(entry.loss(student, teacher, one_hot, entry.params())) == pytest.approx(
        float(entry.loss(student, teacher, labels, entry.params())), rel=1e-5
    )


def test_parameters_have_help_and_ranges(entry: DistillationLoss) -> None:
    entry.params()
    for field in dataclasses.fields(entry.params):
        assert field.metadata.get("help"), field.name
        bounded = field.metadata["low"] is not None and field.metadata["high"] is not None
        assert bounded or field.metadata["choices"] is not None, field.name


def test_the_docstring_names_its_source(entry: DistillationLoss) -> None:
    assert "Source:" in (entry.loss.__doc__ or "")
