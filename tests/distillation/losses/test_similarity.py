import pytest
import torch

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.similarity import SimilarityParams, similarity_loss

LABELS = torch.tensor([1, 0, 2])


def shown(seed: int, channels: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(3, channels, 2, 2, generator=generator, dtype=torch.float64)
    logits = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    return Outputs(logits, {"stage1": torch.zeros(3, 1, 4, 4), "stage2": maps})


def rows(given: Outputs) -> list[list[float]]:
    flat = [image.flatten().tolist() for image in given.features["stage2"].detach()]
    products = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in flat] for x in flat]
    return [[value / sum(v * v for v in row) ** 0.5 for value in row] for row in products]


def definition(student: Outputs, teacher: Outputs, params: SimilarityParams) -> float:
    gaps = [
        (a - b) ** 2
        for r, q in zip(rows(student), rows(teacher), strict=True)
        for a, b in zip(r, q, strict=True)
    ]
    hard = -sum(float(torch.log_softmax(student.logits[b], 0)[LABELS[b]]) for b in range(3)) / 3
    return params.similarity_weight * sum(gaps) / 9 + params.hard_weight * hard


def test_equals_the_definition_and_its_slope() -> None:
    student, teacher, params = shown(0, 2), shown(1, 5), SimilarityParams()
    leaf = student.features["stage2"].requires_grad_()
    value = similarity_loss(student, teacher, LABELS, params)
    assert value.item() == pytest.approx(definition(student, teacher, params), rel=1e-6)
    (gradient,) = torch.autograd.grad(value, leaf)
    for index in ((0, 0, 0, 0), (2, 1, 1, 0)):
        slope = 0.0
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = Outputs(student.logits, {"stage2": leaf.detach().clone()})
            moved.features["stage2"][index] += steps * 1e-4
            slope += weight * definition(moved, teacher, params) / (12 * 1e-4)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-6, abs=1e-5)
