"""Rounds of a schedule, and gradients that scores are made of."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pruning import targets
from pdsearch.pruning.gradients import loss_gradients, probe
from pdsearch.specs import PruneSpec, Recipe

SPEC = PruneSpec(method="magnitude", ratio=0.5, recipe=Recipe(epochs=1, lr=0.1))


def spec(**changes: object) -> PruneSpec:
    return dataclasses.replace(SPEC, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratio", "rounds"),
    [(0.01, 1), (0.2, 1), (0.36, 2), (0.59, 4), (0.79, 7), (0.8, 7), (0.9, 10), (0.99, 21)],
)
def test_geometric_goes_to_the_nearest_round(ratio: float, rounds: int) -> None:
    steps = targets(spec(ratio=ratio))
    assert steps == tuple(1 - 0.8**k for k in range(1, rounds + 1))


def test_linear_steps_are_equal() -> None:
    assert targets(spec(schedule="linear", ratio=0.8, rounds=4)) == pytest.approx((0.2, 0.4, 0.6, 0.8))


def test_exponential_keeps_the_same_share_each_round() -> None:
    steps = targets(spec(schedule="exponential", ratio=0.875, rounds=3))
    assert steps == pytest.approx((0.5, 0.75, 0.875))


@pytest.mark.parametrize("schedule", ["linear", "exponential", "one_shot"])
@pytest.mark.parametrize("rounds", [1, 100])
def test_the_last_round_is_the_ratio_exactly(schedule: str, rounds: int) -> None:
    steps = targets(spec(schedule=schedule, ratio=0.37, rounds=rounds))
    assert steps[-1] == 0.37
    assert list(steps) == sorted(set(steps))
    assert len(steps) == (1 if schedule == "one_shot" else rounds)


@pytest.mark.parametrize(
    "changes", [{"ratio": 0.0}, {"ratio": 1.0}, {"ratio": float("nan")}, {"rounds": 0}, {"rounds": 1001}]
)
def test_what_makes_no_sense_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"prune.{next(iter(changes))} must be in"):
        targets(spec(**changes))


def test_a_probe_is_a_copy_ready_for_gradients(net: nn.Module) -> None:
    next(net.parameters()).requires_grad_(False)
    twin = probe(net)
    assert all(p.requires_grad and p.grad is None for p in twin.parameters())
    assert not any(module.training for module in twin.modules())
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert float(next(net.parameters()).abs().max()) > 0


def test_batch_statistics_switch_normalisation_alone() -> None:
    twin = probe(nn.Sequential(nn.BatchNorm2d(2), nn.Dropout()), batch_statistics=True)
    assert [module.training for module in twin.children()] == [True, False]


def test_batches_sum_to_the_gradient_of_all_images(
    net: nn.Module, batches: list[tuple[Tensor, Tensor]]
) -> None:
    uneven = [(batches[0][0][:2], batches[0][1][:2]), *batches[1:]]
    twin = probe(net)
    total = torch.zeros(4, 8)
    for share, gradients in loss_gradients(twin, uneven):
        total += share * gradients["7.weight"]
    images, labels = (torch.cat(parts) for parts in zip(*uneven, strict=True))
    ((_, whole),) = loss_gradients(twin, [(images, labels)])
    torch.testing.assert_close(total, whole["7.weight"])
