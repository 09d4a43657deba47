"""Shares by layer: ERK as its authors' code computes it, sensitivity on curves that are known, exact counts."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning import prune_once, select
from pdsearch.pruning.registry import methods
from pdsearch.pruning.select import erk, removed_count, sensitivity, weights_to_remove
from pdsearch.registry import NoParams
from tests.pruning.kept import kept_in

SHAPES = st.lists(st.lists(st.integers(1, 12), min_size=2, max_size=4), min_size=1, max_size=6)
SPARSITY = st.floats(0, 0.999)


def reference(shapes: list[tuple[int, ...]], sparsity: float) -> list[float]:
    """Densities by bisection: the one factor with which min(1, factor * sum / prod) meets the density in all."""
    low, high = 0.0, 1e9

    def densities(factor: float) -> list[float]:
        return [min(1.0, factor * sum(shape) / math.prod(shape)) for shape in shapes]

    for _ in range(200):
        middle = (low + high) / 2
        kept = sum(d * math.prod(shape) for d, shape in zip(densities(middle), shapes, strict=True))
        if kept < (1 - sparsity) * sum(map(math.prod, shapes)):
            low = middle
        else:
            high = middle
    return densities(high)


@given(SHAPES, SPARSITY)
def test_erk_is_the_one_factor_that_meets_the_density(rows: list[list[int]], sparsity: float) -> None:
    shapes = {f"p{place}": tuple(row) for place, row in enumerate(rows)}
    expected = reference([*shapes.values()], sparsity)
    assert [1 - share for share in erk(shapes, sparsity).values()] == pytest.approx(expected, abs=1e-6)


def test_erk_pins_what_would_be_denser_than_whole_one_after_the_other() -> None:
    """By hand: of 84,656 weights a fifth stays; the first layer stays whole, then the head, by what is left for it."""
    shapes = {"first": (16, 3, 3, 3), "second": (64, 16, 3, 3), "third": (128, 64, 3, 3), "head": (10, 128)}
    left = 0.2 * 84_656 - 432
    assert left / (86 + 198 + 138) * 138 > 1_280  # A layer keeps a factor times the sum of its shape.
    factor = (left - 1_280) / (86 + 198)
    expected = [0, 1 - factor * 86 / 9_216, 1 - factor * 198 / 73_728, 0]
    assert [*erk(shapes, 0.8).values()] == pytest.approx(expected)
    assert expected == pytest.approx([0, 0.49993, 0.85608, 0], abs=1e-5)


@given(SHAPES, SPARSITY, st.integers(0, 3))
def test_by_layer_the_total_is_met_no_layer_is_emptied_and_masks_nest(
    rows: list[list[int]], sparsity: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = {f"p{place}": torch.rand(row, generator=generator) for place, row in enumerate(rows)}
    costly = {name: float(torch.rand((), generator=generator)) for name in scores}

    def shares(sparsity: float) -> dict[str, float]:
        sizes = {name: score.numel() for name, score in scores.items()}
        return sensitivity(sizes, sparsity, dict.fromkeys(sizes, 0), lambda name, at: costly[name] * at**2)

    for scope in ("erk", "sensitivity"):
        early = select(scores, sparsity=sparsity / 2, scope=scope, shares=shares(sparsity / 2))
        mask = select(scores, sparsity=sparsity, scope=scope, shares=shares(sparsity), within=early)
        wanted = removed_count(mask.total, sparsity)
        assert mask.total - mask.remaining == min(wanted, mask.total - len(mask))
        assert all(bool(keep.any()) for keep in mask.values())
        assert all(bool((mask[name] <= early[name]).all()) for name in mask)


def test_a_layer_that_costs_more_loses_less() -> None:
    sizes = {"cheap": 100, "dear": 100}
    found = sensitivity(
        sizes, 0.5, dict.fromkeys(sizes, 0), lambda name, at: at * {"cheap": 1, "dear": 3}[name]
    )
    assert found == pytest.approx({"cheap": 0.75, "dear": 0.25}, abs=1e-9)
    free = sensitivity(sizes, 0.5, dict.fromkeys(sizes, 0), lambda _name, _at: 0.0)
    assert sum(free.values()) == pytest.approx(1.0)


def test_earlier_rounds_and_what_cannot_be_met_bound_the_counts() -> None:
    assert weights_to_remove({"a": 0.1, "b": 0.9}, {"a": 10, "b": 10}, 10, {"a": 4, "b": 0}) == {
        "a": 4,
        "b": 6,
    }
    assert weights_to_remove({"a": 1.0, "b": 1.0}, {"a": 2, "b": 3}, 5, {"a": 0, "b": 0}) == {"a": 1, "b": 2}


class Branches(nn.Module):
    """Two layers of one size; next to nothing comes of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Conv2d(3, 16, 3), nn.Conv2d(3, 16, 3)
        self.head = nn.Linear(32, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.cat([self.used(images), 1e-6 * self.unused(images)], 1)
        answer: Tensor = self.head(torch.relu(maps).mean((2, 3)))
        return answer


@pytest.mark.parametrize("method", ["magnitude", "filter_l2"])
def test_sensitivity_spares_the_layer_that_the_network_needs(
    method: str, batches: list[tuple[Tensor, Tensor]]
) -> None:
    torch.manual_seed(0)
    model = Branches()
    asked: dict[str, Any] = {
        "method": methods.get(method),
        "params": NoParams(),
        "batches": batches,
        "generator": torch.Generator(),
        "scope": "sensitivity",
        "exclude": ("head.*",) if method == "magnitude" else (),
        "validation": [(images, model(images).argmax(1)) for images, _ in batches],
    }
    first = prune_once(model, sparsity=0.25, **asked)
    again = prune_once(model, sparsity=0.5, **asked, within=first) if method == "magnitude" else first
    used, unused = (kept_in(again)[f"{name}.weight"] for name in ("used", "unused"))
    assert used > 1.5 * unused
    assert again.sparsity == pytest.approx(0.5 if method == "magnitude" else 0.25, abs=0.001)


def test_sensitivity_without_images_is_refused() -> None:
    net, magnitude = nn.Linear(3, 4), methods.get("magnitude")
    with pytest.raises(TrialError, match="needs validation images"):
        prune_once(
            net,
            method=magnitude,
            params=NoParams(),
            batches=(),
            generator=torch.Generator(),
            sparsity=0.5,
            scope="sensitivity",
        )
