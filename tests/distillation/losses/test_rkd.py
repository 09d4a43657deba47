import pytest
import torch

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.rkd import RkdParams, rkd_loss

LABELS = torch.tensor([1, 0, 2, 2])
B = 4


def shown(seed: int, width: int, scale: float = 1.0) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    pooled = scale * torch.randn(B, width, generator=generator, dtype=torch.float64)
    return Outputs(torch.randn(B, 3, generator=generator, dtype=torch.float64), {"pooled": pooled})


def huber(a: float, b: float) -> float:
    gap = abs(a - b)
    return 0.5 * gap**2 if gap < 1 else gap - 0.5


def distances(given: Outputs) -> list[float]:
    points = given.features["pooled"].detach()
    raw = [float((points[i] - points[j]).norm()) for i in range(B) for j in range(B)]
    mean = sum(raw) / (B * (B - 1))
    return [value / mean for value in raw]


def cosines(given: Outputs) -> list[float]:
    points = given.features["pooled"].detach()
    found = []
    for j in range(B):
        for i in range(B):
            for k in range(B):
                a, b = points[j] - points[i], points[j] - points[k]
                lengths = float(a.norm() * b.norm())
                found.append(float(a @ b) / lengths if lengths else 0.0)
    return found


def definition(student: Outputs, teacher: Outputs, params: RkdParams) -> float:
    distance = sum(map(huber, distances(student), distances(teacher))) / B**2
    angle = sum(map(huber, cosines(student), cosines(teacher))) / B**3
    hard = -sum(float(torch.log_softmax(student.logits[b], 0)[LABELS[b]]) for b in range(B)) / B
    return params.distance_weight * distance + params.angle_weight * angle + params.hard_weight * hard


@pytest.mark.parametrize(
    "params", [RkdParams(), RkdParams(angle_weight=0.0, hard_weight=0.0), RkdParams(distance_weight=0.0)]
)
def test_equals_the_definition_and_its_slope(params: RkdParams) -> None:
    student, teacher = shown(0, 3), shown(1, 6)
    leaf = student.features["pooled"].requires_grad_()
    value = rkd_loss(student, teacher, LABELS, params)
    assert value.item() == pytest.approx(definition(student, teacher, params), rel=1e-6)
    (gradient,) = torch.autograd.grad(value, leaf)
    for index in ((0, 0), (3, 2)):
        slope = 0.0
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = Outputs(student.logits, {"pooled": leaf.detach().clone()})
            moved.features["pooled"][index] += steps * 1e-4
            slope += weight * definition(moved, teacher, params) / (12 * 1e-4)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-6, abs=1e-7)


def test_equal_images_have_a_finite_gradient() -> None:
    pooled = torch.ones(B, 3, requires_grad=True)
    student = Outputs(torch.zeros(B, 3), {"pooled": pooled})
    (gradient,) = torch.autograd.grad(rkd_loss(student, shown(1, 3), LABELS, RkdParams()), pooled)
    assert bool(torch.isfinite(gradient).all())
