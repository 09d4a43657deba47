"""Losses over features equal what their papers print, position by position, and their gradients are its slopes."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.attention import AttentionParams
from pdsearch.distillation.losses.rkd import RkdParams, rkd_loss
from pdsearch.distillation.losses.similarity import SimilarityParams
from pdsearch.distillation.registry import losses

B, LABELS = 4, torch.tensor([1, 0, 2, 2])


def shown(seed: int, *channels: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(B, *shape, generator=generator, dtype=torch.float64)

    maps = {f"stage{n}": drawn(c, 3, 2) for n, c in enumerate(channels, start=1)}
    return Outputs(drawn(3), maps | {"pooled": drawn(channels[-1])})


def attention(maps: Tensor) -> list[float]:
    """One image's map, position by position."""
    energy = [float((maps[:, y, x] ** 2).sum()) / len(maps) for y, x in product(range(3), range(2))]
    length = sum(value**2 for value in energy) ** 0.5
    return [value / length for value in energy]


def of_attention(student: Outputs, teacher: Outputs, params: AttentionParams) -> float:
    total = 0.0
    for name, b in product(("stage1", "stage2"), range(B)):
        pairs = zip(attention(student.features[name][b]), attention(teacher.features[name][b]), strict=True)
        total += sum((s - t) ** 2 for s, t in pairs) / (B * 6)
    return params.attention_weight * total


def products(given: Outputs) -> list[float]:
    flat = [image.flatten() for image in given.features["stage2"]]
    rows = [[float(x @ y) for y in flat] for x in flat]
    return [value / sum(v * v for v in row) ** 0.5 for row in rows for value in row]


def of_similarity(student: Outputs, teacher: Outputs, params: SimilarityParams) -> float:
    gaps = [(a - b) ** 2 for a, b in zip(products(student), products(teacher), strict=True)]
    return params.similarity_weight * sum(gaps) / B**2


def huber(a: float, b: float) -> float:
    gap = abs(a - b)
    return 0.5 * gap**2 if gap < 1 else gap - 0.5


def distances(given: Outputs) -> list[float]:
    points = given.features["pooled"]
    raw = [float((points[i] - points[j]).norm()) for i, j in product(range(B), repeat=2)]
    return [value * B * (B - 1) / sum(raw) for value in raw]


def cosines(given: Outputs) -> list[float]:
    points, found = given.features["pooled"], []
    for j, i, k in product(range(B), repeat=3):
        a, b = points[j] - points[i], points[j] - points[k]
        lengths = float(a.norm() * b.norm())
        found.append(float(a @ b) / lengths if lengths else 0.0)
    return found


def of_relations(student: Outputs, teacher: Outputs, params: RkdParams) -> float:
    distance = sum(map(huber, distances(student), distances(teacher))) / B**2
    angle = sum(map(huber, cosines(student), cosines(teacher))) / B**3
    return params.distance_weight * distance + params.angle_weight * angle


@pytest.mark.parametrize(
    ("name", "feature", "definition", "params"),
    [
        ("attention", "stage2", of_attention, AttentionParams()),
        ("similarity", "stage2", of_similarity, SimilarityParams()),
        ("rkd", "pooled", of_relations, RkdParams()),
        ("rkd", "pooled", of_relations, RkdParams(angle_weight=0.0, hard_weight=0.0)),
        ("rkd", "pooled", of_relations, RkdParams(distance_weight=0.0)),
    ],
)
def test_equals_the_definition_and_its_slope(
    name: str, feature: str, definition: Callable[[Outputs, Outputs, Any], float], params: Any
) -> None:
    loss = losses.get(name).loss
    for seed in range(3):
        student, teacher = shown(seed, 4, 2), shown(seed + 9, 5, 3)
        hard = -sum(float(torch.log_softmax(student.logits[b], 0)[LABELS[b]]) for b in range(B)) / B
        expected = definition(student, teacher, params) + params.hard_weight * hard
        assert loss(student, teacher, LABELS, params).item() == pytest.approx(expected, rel=1e-6)

    def moved(maps: Tensor) -> Tensor:
        return loss(Outputs(student.logits, {**student.features, feature: maps}), teacher, LABELS, params)

    assert torch.autograd.gradcheck(moved, student.features[feature].requires_grad_())


def test_equal_images_have_a_finite_gradient() -> None:
    pooled = torch.ones(B, 3, requires_grad=True)
    student = Outputs(torch.zeros(B, 3), {"pooled": pooled})
    (gradient,) = torch.autograd.grad(rkd_loss(student, shown(1, 3), LABELS, RkdParams()), pooled)
    assert bool(torch.isfinite(gradient).all())
