"""Logits and labels in double precision, and a check of values and gradients against a slow definition."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pdsearch.distillation import Outputs

Case = tuple[Tensor, Tensor, Tensor]
Definition = Callable[[Tensor, Tensor, Tensor], Tensor]


@pytest.fixture
def case() -> Case:
    generator = torch.Generator().manual_seed(0)
    student = 3 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    teacher = 4 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(5, (6,), generator=generator)


@pytest.fixture
def agrees(case: Case) -> Callable[[Callable[..., Tensor], object, Definition], None]:
    """Compare a loss with its definition, to a relative 1e-6: the value, and the gradient by differences."""

    def check(loss: Callable[..., Tensor], params: object, definition: Definition) -> None:
        student, teacher, targets = case
        leaf = student.clone().requires_grad_()
        value = loss(Outputs(leaf), Outputs(teacher), targets, params)
        torch.testing.assert_close(value.detach(), definition(student, teacher, targets), rtol=1e-6, atol=0)
        (gradient,) = torch.autograd.grad(value, leaf)
        scale = float(gradient.abs().max())
        for index in ((0, 0), (1, 4), (3, 2), (5, 1)):
            step = torch.zeros_like(student)
            step[index] = 1e-4
            # Five points: an error of fourth order, so that 1e-6 is about the loss, not the steps.
            near = definition(student + step, teacher, targets) - definition(student - step, teacher, targets)
            far = definition(student + 2 * step, teacher, targets) - definition(
                student - 2 * step, teacher, targets
            )
            slope = (8 * near - far) / (12 * 1e-4)
            torch.testing.assert_close(gradient[index], slope, rtol=1e-6, atol=1e-7 * scale)

    return check
