"""Channels that are chosen, alone and in groups, and removed."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from pdsearch.errors import ConfigError, TrialError
from pdsearch.pruning import prunable, select
from pdsearch.pruning.channels.dependencies import Part
from pdsearch.pruning.channels.finding import _failing as failing
from pdsearch.pruning.channels.finding import find_channels, rebuild
from pdsearch.pruning.channels.remove import channel_mask, kept_channels, shrink
from pdsearch.pruning.methods.group_scores import grouped
from pdsearch.pruning.registry import methods
from pdsearch.pruning.select import removed_count


def scores_of(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.rand(7, 3, generator=generator), "b": torch.rand(50, generator=generator)}


@pytest.mark.parametrize(
    ("total", "sparsity", "count"), [(10, 0.25, 3), (10, 0.0, 0), (3, 0.5, 2), (5, 0.99, 5)]
)
def test_counts_are_rounded_half_up(total: int, sparsity: float, count: int) -> None:
    assert removed_count(total, sparsity) == count


@pytest.mark.parametrize("ratio", [0.2, 0.36, 0.5, 0.9])
def test_agrees_with_torch_on_global_magnitude(net: nn.Module, ratio: float) -> None:
    scores = methods.get("magnitude").score(net, (), torch.Generator(), None)
    mask = select(scores, sparsity=ratio)
    layers = [(net.get_submodule(name.removesuffix(".weight")), "weight") for name in prunable(net)]
    torch_prune.global_unstructured(layers, pruning_method=torch_prune.L1Unstructured, amount=ratio)
    for name in mask:
        assert torch.equal(mask[name], net.get_buffer(f"{name}_mask").bool())


@pytest.mark.parametrize("ratio", [0.2, 0.36, 0.5, 0.9])
def test_agrees_with_torch_on_magnitude_layer_by_layer(net: nn.Module, ratio: float) -> None:
    scores = methods.get("magnitude").score(net, (), torch.Generator(), None)
    mask = select(scores, sparsity=ratio, scope="layer")
    for name in prunable(net):
        layer = net.get_submodule(name.removesuffix(".weight"))
        torch_prune.l1_unstructured(layer, "weight", amount=removed_count(scores[name].numel(), ratio))
        assert torch.equal(mask[name], net.get_buffer(f"{name}_mask").bool())


@pytest.mark.parametrize(("method", "power"), [("filter_l1", 1), ("filter_l2", 2)])
def test_agrees_with_torch_on_which_filters_are_lowest(net: nn.Module, method: str, power: int) -> None:
    entry = methods.get(method)
    scores = entry.score(net, (), torch.Generator(), entry.params())
    for name in prunable(net):
        layer, lowest = net.get_submodule(name.removesuffix(".weight")), len(scores[name]) // 2
        torch_prune.ln_structured(layer, "weight", amount=lowest, n=power, dim=0)
        gone = ~net.get_buffer(f"{name}_mask").bool().flatten(1).any(dim=1)
        assert set(scores[name].argsort()[:lowest].tolist()) == set(gone.nonzero().flatten().tolist())


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_tied_scores_still_give_the_exact_number_first_index_first(scope: str) -> None:
    mask = select({"a": torch.zeros(10)}, sparsity=0.3, scope=scope)
    assert mask["a"].tolist() == [False] * 3 + [True] * 7


def test_pruned_weights_stay_pruned_however_high_they_score() -> None:
    first = select({"a": torch.tensor([0.0, 1.0, 2.0, 3.0])}, sparsity=0.5)
    again = select({"a": torch.tensor([9.0, 8.0, 2.0, 3.0])}, sparsity=0.75, within=first)
    assert again["a"].tolist() == [False, False, False, True]


def test_a_lower_sparsity_brings_nothing_back() -> None:
    first = select(scores_of(), sparsity=0.6)
    assert select(scores_of(1), sparsity=0.2, within=first) == first


def test_nearly_equal_doubles_are_told_apart() -> None:
    scores = {"a": torch.tensor([1.0 + 1e-12, 1.0], dtype=torch.float64)}
    assert select(scores, sparsity=0.5)["a"].tolist() == [True, False]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_score_that_is_no_number_fails_the_trial(bad: float) -> None:
    with pytest.raises(TrialError, match=r"scores of b are not finite"):
        select({"a": torch.ones(2), "b": torch.tensor([1.0, bad])}, sparsity=0.5)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, math.nan])
def test_illegal_sparsity_is_refused(sparsity: float) -> None:
    with pytest.raises(ConfigError, match=r"sparsity must be in"):
        select(scores_of(), sparsity=sparsity)


def test_unknown_scope_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown prune.scope 'channel'"):
        select(scores_of(), sparsity=0.5, scope="channel")


def test_half_precision_scores_are_taken_as_they_are() -> None:
    scores = {"a": torch.tensor([3.0, 1.0, 2.0], dtype=torch.bfloat16)}
    assert select(scores, sparsity=0.3)["a"].tolist() == [True, False, True]


def test_a_channel_scores_the_mean_of_all_parts_over_the_tie_s_mean(net: nn.Module) -> None:
    worth = {
        ("0.weight", 0): torch.tensor([1.0, 2, 3, 4, 5, 6]),
        ("1.weight", 0): torch.zeros(6),
        ("3.weight", 1): torch.tensor([0.0, 0, 0, 0, 0, 21]),
        ("3.weight", 0): torch.ones(8),
        ("7.weight", 1): torch.arange(8.0),
    }

    def measure(part: Part) -> Tensor:
        return worth.pop((part.name, part.axis))

    scores = grouped(net, torch.zeros(1, 3, 6, 6), measure)
    assert not worth
    assert scores.keys() == {"0.weight", "3.weight"}
    assert scores["0.weight"].tolist() == pytest.approx([1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 27 / 7])
    assert scores["3.weight"].tolist() == pytest.approx([(1 + c) / 4.5 for c in range(8)])


def test_layers_that_share_channels_have_the_same_scores() -> None:
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.classifier = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(12, 2)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.classifier((self.one(images) + self.two(images)).flatten(1))
            return logits

    def measure(part: Part) -> Tensor:
        return torch.arange(12.0) if part.name == "classifier.weight" else torch.zeros(3)

    scores = grouped(Added(), torch.zeros(1, 3, 2, 2), measure)
    # A flattened channel is read at its four positions: 0 to 3, 4 to 7, 8 to 11.
    assert scores["one.weight"].tolist() == pytest.approx([6 / 22, 1.0, 38 / 22])
    assert torch.equal(scores["one.weight"], scores["two.weight"])


IMAGE = torch.zeros(1, 3, 6, 6)
KEPT = {"0.weight": (0, 2, 5), "3.weight": (1, 2, 3, 4, 6, 7)}


@pytest.fixture
def image() -> Tensor:
    return torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(3))


def test_a_mask_loses_what_makes_and_what_reads_a_channel(net: nn.Module) -> None:
    ties = find_channels(net, IMAGE).ties
    mask = channel_mask(KEPT, ties, prunable(net))
    assert mask["0.weight"].flatten(1).any(1).tolist() == [True, False, True, False, False, True]
    assert mask["3.weight"].sum().item() == 6 * 3 * 9
    assert mask["7.weight"].sum(1).tolist() == [6] * 4
    assert kept_channels(mask, ties) == KEPT


def test_rebuilding_takes_weights_of_the_shrunk_network(net: nn.Module, image: Tensor) -> None:
    small, blank = copy.deepcopy(net), copy.deepcopy(net)
    for parameter in blank.parameters():
        nn.init.zeros_(parameter)
    shrink(small, find_channels(net, IMAGE), kept=KEPT)
    mask = rebuild(blank, IMAGE, kept=KEPT)
    blank.load_state_dict(small.state_dict())
    assert torch.equal(blank.eval()(image), small.eval()(image))
    assert mask == channel_mask(KEPT, find_channels(net, IMAGE).ties, prunable(net))


def test_ties_that_are_read_wrongly_are_noticed(net: nn.Module) -> None:
    channels = find_channels(net, IMAGE)
    before = copy.deepcopy(net.state_dict())
    assert failing(net, IMAGE, channels) == {}
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    blind = replace(channels.ties[0], parts=channels.ties[0].parts[:-1])
    assert failing(net, IMAGE, replace(channels, ties=(blind, *channels.ties[1:]))).keys() == {"0.weight"}
