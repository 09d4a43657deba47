import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from pdsearch.pruning.channels.finding import _failing as failing
from pdsearch.pruning.channels.finding import find_channels, rebuild
from pdsearch.pruning.channels.remove import channel_mask, kept_channels, shrink
from pdsearch.pruning.prunable import prunable

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


def test_ties_without_a_word_are_whole(net: nn.Module) -> None:
    mask = channel_mask({}, find_channels(net, IMAGE).ties, prunable(net))
    assert mask.sparsity == 0


def test_a_network_shrunk_twice_is_the_one_shrunk_once(net: nn.Module, image: Tensor) -> None:
    once, twice = copy.deepcopy(net), copy.deepcopy(net)
    found = find_channels(net, IMAGE)
    shrink(once, found, kept=KEPT)
    first = {"0.weight": (0, 1, 2, 5), "3.weight": tuple(range(1, 8))}
    shrink(twice, found, kept=first)
    shrink(twice, found, kept=KEPT, before=first)
    assert once.state_dict().keys() == twice.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(value, twice.state_dict()[name]) for name, value in once.state_dict().items())
    assert once.get_parameter("3.weight").shape == (6, 3, 3, 3)
    assert torch.equal(once.get_parameter("1.weight"), net.get_parameter("1.weight")[[0, 2, 5]])
    assert once(image).shape == (2, 4)


def test_what_is_frozen_stays_frozen(net: nn.Module) -> None:
    for name in ("0.weight", "1.bias"):
        net.get_parameter(name).requires_grad_(False)
    shrink(net, find_channels(net, IMAGE), kept=KEPT)
    assert [name for name, weight in net.named_parameters() if not weight.requires_grad] == [
        "0.weight",
        "1.bias",
    ]


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
