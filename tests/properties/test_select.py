"""Selection on any scores, ties included: exact counts, nesting, and indifference to the order of layers."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pdsearch.pruning import select
from pdsearch.pruning.select import removed_count

# Few distinct values: most draws hold ties.
VALUES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)
SCORES = st.lists(VALUES, min_size=1, max_size=4)
SPARSITY = st.floats(0, 1, exclude_max=True, allow_subnormal=False)


def named(rows: list[list[float]]) -> dict[str, Tensor]:
    return {f"p{i}": torch.tensor(row) for i, row in enumerate(rows)}


@given(SCORES, SPARSITY)
def test_the_count_is_exact_and_the_lowest_go(rows: list[list[float]], sparsity: float) -> None:
    scores = named(rows)
    mask = select(scores, sparsity=sparsity)
    assert mask.total - mask.remaining == removed_count(mask.total, sparsity)
    kept = torch.cat([scores[name][keep] for name, keep in mask.items()])
    gone = torch.cat([scores[name][~keep] for name, keep in mask.items()])
    assert not len(kept) or not len(gone) or float(gone.max()) <= float(kept.min())


@given(SCORES, SPARSITY)
def test_in_layer_scope_each_count_is_exact(rows: list[list[float]], sparsity: float) -> None:
    mask = select(named(rows), sparsity=sparsity, scope="layer")
    for keep in mask.values():
        assert int((~keep).sum()) == removed_count(keep.numel(), sparsity)


@given(SCORES, SPARSITY, SPARSITY)
def test_masks_nest_as_the_sparsity_grows(rows: list[list[float]], one: float, other: float) -> None:
    scores, low, high = named(rows), min(one, other), max(one, other)
    wide, narrow = select(scores, sparsity=low), select(scores, sparsity=high)
    assert all(bool((narrow[name] <= wide[name]).all()) for name in scores)
    assert select(scores, sparsity=high, within=wide) == narrow


@given(st.permutations(range(12)), SPARSITY)
def test_the_order_of_layers_does_not_count_without_ties(order: list[int], sparsity: float) -> None:
    scores = {f"p{i}": torch.tensor([i * 0.1, 2.031 - i * 0.13]) for i in range(12)}
    turned = {f"p{i}": scores[f"p{i}"] for i in order}
    assert select(turned, sparsity=sparsity) == select(scores, sparsity=sparsity)
