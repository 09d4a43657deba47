"""Losses over logits equal what their papers print, image by image, and their gradients are its slopes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.dist import DistParams
from pdsearch.distillation.losses.dkd import DkdParams, warmed_up
from pdsearch.distillation.losses.hard_label import HardLabelParams
from pdsearch.distillation.losses.kd import KdParams
from pdsearch.distillation.losses.label_smoothing import LabelSmoothingParams
from pdsearch.distillation.losses.logit_mse import LogitMseParams
from pdsearch.distillation.registry import losses
from pdsearch.errors import TrialError
from pdsearch.registry import NoParams


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student = 3 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    teacher = 4 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    return student, teacher, torch.randint(5, (6,), generator=generator)


def soft(row: Tensor, temperature: float = 1.0) -> Tensor:
    exponentials = torch.exp(row / temperature)
    return exponentials / exponentials.sum()


def hard(s: Tensor, y: Tensor) -> Tensor:
    return -torch.stack([y[k] * soft(s)[k].log() for k in range(len(s))]).sum()


def kd(params: KdParams, s: Tensor, t: Tensor, y: Tensor) -> Tensor:
    p, q = soft(t, params.temperature), soft(s, params.temperature)
    divergence = (p * torch.log(p / q)).sum()
    return params.alpha * params.temperature**2 * divergence + (1 - params.alpha) * hard(s, y)


def dkd(params: DkdParams, s: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """Equation 7."""
    p, q, label = soft(t, params.temperature), soft(s, params.temperature), int(y.argmax())
    pt, qt, others = p[label], q[label], [k for k in range(len(s)) if k != label]
    target = pt * torch.log(pt / qt) + (1 - pt) * torch.log((1 - pt) / (1 - qt))
    p, q = p[others] / (1 - pt), q[others] / (1 - qt)
    other = (p * torch.log(p / q)).sum()
    distilled = params.target_weight * target + params.other_weight * other
    return params.temperature**2 * distilled + params.hard_weight * hard(s, y)


def smoothed(params: LabelSmoothingParams, s: Tensor, _t: Tensor, y: Tensor) -> Tensor:
    return hard(s, params.smoothing / len(s) + (1 - params.smoothing) * y)


def mse(params: LogitMseParams, s: Tensor, t: Tensor, y: Tensor) -> Tensor:
    return params.soft_weight * sum((s - t) ** 2) / len(s) + params.hard_weight * hard(s, y)


def hard_label(params: HardLabelParams, s: Tensor, t: Tensor, y: Tensor) -> Tensor:
    best = one_hot(t.argmax(), len(t)).double()
    taught = smoothed(LabelSmoothingParams(params.smoothing), s, t, best)
    return params.teacher_weight * taught + params.hard_weight * hard(s, y)


def dist(params: DistParams, student: Tensor, teacher: Tensor, shares: Tensor) -> Tensor:
    """Equations 8 to 10, of a whole batch."""
    p, q = (torch.stack([soft(row, params.temperature) for row in z]) for z in (student, teacher))
    inter, intra = (
        1 - sum(torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(a, b, strict=True)) / len(a)
        for a, b in ((p, q), (p.T, q.T))
    )
    labels = torch.stack([*map(hard, student, shares)]).mean()
    distilled = params.inter_weight * inter + params.intra_weight * intra
    return params.hard_weight * labels + params.temperature**2 * distilled


Definition = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
CASES: list[tuple[str, Definition, Any]] = [
    ("ce", lambda _, s, _t, y: hard(s, y), NoParams()),
    *(
        ("kd", kd, KdParams(temperature=temperature, alpha=alpha))
        for temperature in (0.5, 4.0, 50.0)
        for alpha in (0.0, 0.3, 1.0)
    ),
    ("dkd", dkd, DkdParams()),
    ("dkd", dkd, DkdParams(temperature=1.0, target_weight=0.0)),
    ("dkd", dkd, DkdParams(temperature=20.0, other_weight=0.0)),
    *(("label_smoothing", smoothed, LabelSmoothingParams(smoothing)) for smoothing in (0.0, 0.1, 0.9)),
    ("logit_mse", mse, LogitMseParams()),
    ("logit_mse", mse, LogitMseParams(soft_weight=0.0, hard_weight=2.0)),
    ("hard_label", hard_label, HardLabelParams(teacher_weight=0.3, hard_weight=0.9, smoothing=0.1)),
    ("dist", dist, DistParams()),
    ("dist", dist, DistParams(temperature=1.0, inter_weight=0.0)),
    ("dist", dist, DistParams(intra_weight=0.0, hard_weight=0.0)),
]


@pytest.mark.parametrize(("name", "definition", "params"), CASES)
@pytest.mark.parametrize("mixed", [False, True])
def test_equals_the_definition_and_its_slope(
    name: str, definition: Definition, params: Any, mixed: bool
) -> None:
    loss = losses.get(name).loss
    for seed in range(3):
        student, teacher, labels = drawn(seed)
        shares = 0.4 * one_hot(labels.roll(1), 5).double() + 0.6 * one_hot(labels, 5)
        targets, y = (shares, shares) if mixed else (labels, one_hot(labels, 5).double())
        rows = (
            [definition(params, *row) for row in zip(student, teacher, y, strict=True)]
            if name != "dist"
            else []
        )
        expected = sum(rows) / 6 if rows else definition(params, student, teacher, y)
        value = loss(Outputs(student), Outputs(teacher), targets, params)
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)
    assert torch.autograd.gradcheck(
        lambda logits: loss(Outputs(logits), Outputs(teacher), targets, params), student.requires_grad_()
    )


def test_soft_terms_grow_by_equal_steps_and_the_hard_term_does_not() -> None:
    """Epochs count from 1, as in the official code of dkd: min(epoch / 20, 1)."""
    params = DkdParams(warmup_epochs=20)
    for epoch, share in ((1, 0.05), (10, 0.5), (19, 0.95), (20, 1.0), (240, 1.0)):
        now = warmed_up(params, epoch)
        assert now.target_weight == pytest.approx(share)
        assert now.other_weight == pytest.approx(8 * share)
        assert (now.hard_weight, now.temperature) == (1.0, 4.0)
    assert warmed_up(DkdParams(), 1) == DkdParams()


def test_standardise_leaves_the_hard_term_alone() -> None:
    student, teacher, targets = drawn(0)
    found = [
        losses.get("kd").loss(
            Outputs(student), Outputs(teacher), targets, KdParams(alpha=0.0, standardise=on)
        )
        for on in (True, False)
    ]
    assert torch.equal(*found)


def test_mismatched_classes_fail_the_trial() -> None:
    with pytest.raises(TrialError, match=r"student logits \(2, 1\) do not match the teacher's \(2, 5\)"):
        losses.get("kd").loss(
            Outputs(torch.zeros(2, 1)), Outputs(torch.zeros(2, 5)), torch.tensor([0, 0]), KdParams()
        )
