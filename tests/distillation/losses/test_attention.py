import pytest
import torch
from torch import Tensor

from pdsearch.distillation import Outputs
from pdsearch.distillation.losses.attention import AttentionParams, attention_loss

LABELS = torch.tensor([1, 0])


def shown(seed: int, *channels: int) -> Outputs:
    generator = torch.Generator().manual_seed(seed)
    maps = {
        f"stage{n}": torch.randn(2, c, 3, 2, generator=generator, dtype=torch.float64)
        for n, c in enumerate(channels, start=1)
    }
    return Outputs(torch.randn(2, 3, generator=generator, dtype=torch.float64), maps)


def attention(maps: Tensor) -> list[float]:
    """One image's map, position by position."""
    channels, height, width = maps.shape
    energy = [
        sum(float(maps[c, y, x]) ** 2 for c in range(channels)) / channels
        for y in range(height)
        for x in range(width)
    ]
    length = sum(value**2 for value in energy) ** 0.5
    return [value / length for value in energy]


def definition(student: Outputs, teacher: Outputs, params: AttentionParams) -> float:
    total = 0.0
    for name, maps in student.features.items():
        for b in range(2):
            pairs = zip(attention(maps[b]), attention(teacher.features[name][b]), strict=True)
            total += params.attention_weight * sum((s - t) ** 2 for s, t in pairs) / 12
    hard = -sum(float(torch.log_softmax(student.logits[b], 0)[LABELS[b]]) for b in range(2)) / 2
    return total + params.hard_weight * hard


def test_equals_the_definition_and_its_slope() -> None:
    student, teacher, params = shown(0, 4, 2), shown(1, 5, 3), AttentionParams()
    leaf = student.features["stage2"].requires_grad_()
    value = attention_loss(student, teacher, LABELS, params)
    assert value.item() == pytest.approx(definition(_detached(student), teacher, params), rel=1e-6)
    (gradient,) = torch.autograd.grad(value, leaf)
    for index in ((0, 0, 0, 0), (1, 1, 2, 1)):
        slope = 0.0
        for steps, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
            moved = _detached(student)
            moved.features["stage2"][index] += steps * 1e-4
            slope += weight * definition(moved, teacher, params) / (12 * 1e-4)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-6, abs=1e-6)


def _detached(given: Outputs) -> Outputs:
    return Outputs(given.logits, {name: maps.detach().clone() for name, maps in given.features.items()})
