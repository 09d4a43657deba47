import copy

import pytest
import torch
from torch import nn

from pdsearch.pruning import Mask
from tests.pruning.kept import kept_in


def mask_of(*rows: list[int]) -> Mask:
    return Mask({f"p{i}": torch.tensor(row) for i, row in enumerate(rows)})


def test_counts_over_all_parameters() -> None:
    mask = mask_of([1, 0, 0, 1], [0, 1])
    assert (mask.total, mask.remaining) == (6, 3)
    assert mask.sparsity == mask.density == 0.5
    assert kept_in(mask) == {"p0": 2, "p1": 1}
    assert repr(mask) == "Mask(3 of 6 weights in 2 parameters)"


def test_empty_mask_removes_nothing() -> None:
    assert (Mask({}).sparsity, Mask({}).density) == (0.0, 1.0)


@pytest.mark.parametrize("bad", [[0.0, 0.5], [1.0, float("nan")], [2.0, 0.0], [-1.0, 1.0]])
def test_refuses_what_is_not_binary(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"other than 0 and 1"):
        Mask({"p": torch.tensor(bad)})


def test_holds_its_own_copy() -> None:
    source = torch.tensor([True, False])
    mask = Mask({"p": source})
    source[1] = True
    assert mask["p"].tolist() == [True, False]


def test_round_trip_through_tensors_is_identity() -> None:
    mask = mask_of([1, 0], [0, 1, 1])
    assert Mask.from_tensors(mask.to_tensors()) == mask
    assert Mask.from_tensors({"p0": torch.tensor([1, 1])}) != mask
    assert mask != {"p0": 1}


def test_apply_zeroes_exactly_the_removed_weights(net: nn.Module) -> None:
    before = copy.deepcopy(net.state_dict())
    kept = torch.rand(4, 8, generator=torch.Generator().manual_seed(3)) > 0.5
    Mask({"7.weight": kept}).apply(net)
    after = net.state_dict()
    assert torch.equal(after["7.weight"], before["7.weight"] * kept)
    assert all(torch.equal(after[name], before[name]) for name in before if name != "7.weight")


def test_apply_clears_a_diverged_weight(net: nn.Module) -> None:
    weight = net.get_parameter("7.weight")
    with torch.no_grad():
        weight[0, 0] = torch.nan
    Mask({"7.weight": torch.zeros(4, 8, dtype=torch.bool)}).apply(net)
    assert torch.equal(weight, torch.zeros(4, 8))


def test_apply_refuses_another_network(net: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"no parameter '7.weight' of shape"):
        Mask({"7.weight": torch.ones(8, 4)}).apply(net)
    with pytest.raises(ValueError, match=r"no parameter 'absent'"):
        Mask({"absent": torch.ones(1)}).apply(net)
