import math

import pytest
import torch
from torch import Generator, Tensor

from pdsearch.distillation import Outputs, teach
from pdsearch.distillation.losses.crd import CrdParams, Memory
from pdsearch.distillation.registry import losses

ENTRY = losses.get("crd")
PARAMS = CrdParams(width=8, negatives=16, momentum=0.25)
IMAGES, LABELS, INDEX = 30, torch.tensor([1, 0, 2]), torch.tensor([4, 20, 9])


def shown(seed: int, width: int) -> Outputs:
    generator = Generator().manual_seed(seed)
    pooled = torch.randn(3, width, generator=generator, dtype=torch.float64)
    return Outputs(torch.randn(3, 5, generator=generator, dtype=torch.float64), {"pooled": pooled})


def memory(seed: int = 0) -> Memory:
    return Memory((6, 7), IMAGES, Generator().manual_seed(seed), PARAMS).double()


def run(adapter: Memory, student: Outputs, teacher: Outputs) -> Tensor:
    return teach(ENTRY, student, teacher, LABELS, params=PARAMS, adapter=adapter, index=INDEX)


def embedded(adapter: Memory, number: int, pooled: Tensor) -> list[Tensor]:
    weight, bias = adapter.weights[number].detach(), adapter.biases[number].detach()
    return [(weight @ row + bias) / (weight @ row + bias).norm() for row in pooled.detach()]


def definition(adapter: Memory, student: Outputs, teacher: Outputs) -> float:
    """NCE with N images and uniform noise, probability by probability (equations 17 to 19)."""
    state = {name: value.clone() for name, value in adapter.state_dict().items()}
    random = Generator().manual_seed(int(state["seed"]) + int(state["step"]))
    negatives = torch.randint(IMAGES, (PARAMS.negatives,), generator=random).tolist()
    total = 0.0
    for number, outputs in enumerate((student, teacher)):
        bank = state[f"bank{1 - number}"]
        points = embedded(adapter, number, outputs.features["pooled"])
        raw = [
            [math.exp(float(point @ bank[i]) / PARAMS.temperature) for i in (same, *negatives)]
            for point, same in zip(points, INDEX.tolist(), strict=True)
        ]
        z = sum(map(sum, raw)) / (3 * (1 + PARAMS.negatives)) * IMAGES
        for same, *others in raw:
            noise = PARAMS.negatives / IMAGES
            total -= math.log((same / z) / (same / z + noise))
            total -= sum(math.log(noise / (other / z + noise)) for other in others)
    hard = -sum(float(torch.log_softmax(student.logits[b], 0)[LABELS[b]]) for b in range(3)) / 3
    return PARAMS.contrast_weight * total / 3 + PARAMS.hard_weight * hard


def test_the_first_batch_equals_the_definition() -> None:
    adapter, student, teacher = memory(), shown(0, 6), shown(1, 7)
    expected = definition(adapter, student, teacher)
    assert run(adapter, student, teacher).item() == pytest.approx(expected, rel=1e-6)


def test_its_gradient_is_the_slope_of_the_loss() -> None:
    student, teacher = shown(0, 6), shown(1, 7)
    warm = memory()
    run(warm, student, teacher)  # Z is a constant from the second batch on
    state = {name: value.clone() for name, value in warm.state_dict().items()}

    def again(pooled: Tensor) -> Tensor:
        adapter = memory()
        adapter.load_state_dict(state)
        return run(adapter, Outputs(student.logits, {"pooled": pooled}), teacher)

    assert torch.autograd.gradcheck(again, student.features["pooled"].requires_grad_())


def test_the_memory_moves_towards_what_was_seen_and_nowhere_else() -> None:
    adapter, student, teacher = memory(), shown(0, 6), shown(1, 7)
    before = adapter.get_buffer("bank0").clone()
    points = embedded(adapter, 0, student.features["pooled"])
    run(adapter, student, teacher)
    for point, image in zip(points, INDEX.tolist(), strict=True):
        mixed = 0.25 * before[image] + 0.75 * point
        torch.testing.assert_close(adapter.get_buffer("bank0")[image], mixed / mixed.norm())
    rest = [i for i in range(IMAGES) if i not in INDEX.tolist()]
    assert torch.equal(adapter.get_buffer("bank0")[rest], before[rest])


def test_a_restored_memory_goes_on_bit_for_bit() -> None:
    student, teacher = shown(0, 6), shown(1, 7)
    through, first = memory(), memory()
    values = [run(through, student, teacher) for _ in range(3)]
    run(first, student, teacher)
    restored = memory(seed=5)
    restored.load_state_dict(first.state_dict())
    assert [run(restored, student, teacher).item() for _ in range(2)] == [
        value.item() for value in values[1:]
    ]


def test_each_step_draws_other_negatives() -> None:
    adapter = memory()
    assert not torch.equal(adapter._others(), adapter._others())
