"""Does a stack compute what its networks compute one by one, each with weights, images and gradients of its own?"""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.models import build, models
from pdsearch.models.stacked import Stack, agrees

SLOW = {"resnet18", "resnet34", "resnet50", "resnet32x4", "resnet110", "vgg16_bn", "vgg19_bn", "vgg19dbl_bn"}
SLOW |= {"wrn_16_8", "wrn_28_4", "wrn_28_10", "wrn_40_4"}
"""Of the families of others that are tried."""
UNLIKE = {"shufflenetv2"}
"""Its channels are shuffled across networks."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def networks(name: str = "convnet_s", count: int = 3) -> list[nn.Module]:
    return [build(name, num_classes=5, channels=2, image_size=16, seed=seed) for seed in range(count)]


def images(count: int = 3, batch: int = 4) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn((batch, 2, 16, 16), generator=generator, dtype=torch.float64) for _ in range(count)]


@pytest.mark.parametrize("name", sorted(set(models) - SLOW))
def test_every_network_agrees_with_its_stack_or_is_known_not_to(name: str) -> None:
    assert agrees(networks(name, count=2), (2, 16, 16)) == (name not in UNLIKE)


@pytest.mark.parametrize("name", ["convnet_s", "resnet8", "mobilenetv2"])
def test_gradients_and_statistics_are_those_of_each_alone(name: str) -> None:
    apart = [network.double().train() for network in networks(name)]
    stack = Stack(apart).train()
    seen = images()
    targets = torch.arange(4)
    said = stack(torch.cat(seen, dim=1))
    assert said.shape == (4, 3, 5)
    functional.cross_entropy(said.flatten(0, 1), targets.repeat_interleave(3), reduction="sum").backward()
    slopes = copy.deepcopy(stack)
    for place, weight in zip(slopes.parameters(), stack.parameters(), strict=True):
        assert weight.grad is not None
        place.data.copy_(weight.grad)
    states: list[dict[str, Tensor]] = slopes.apart()
    for network, own, state, slope in zip(apart, seen, stack.apart(), states, strict=True):
        functional.cross_entropy(network(own), targets, reduction="sum").backward()
        for key, tensor in network.state_dict().items():
            assert torch.allclose(state[key].double(), tensor.double(), rtol=0, atol=1e-9), key
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None
            assert torch.allclose(slope[key], parameter.grad, rtol=0, atol=1e-9), key


def test_apart_gives_every_network_its_own_weights_back() -> None:
    mine = networks("resnet8")
    for network, state in zip(mine, Stack(mine).apart(), strict=True):
        own = network.state_dict()
        assert list(state) == list(own)
        assert all(torch.equal(state[name], tensor) for name, tensor in own.items())


def test_weights_decay_as_those_of_one_do() -> None:
    mine = networks()
    flat = [weight.dim() > 1 for weight in mine[0].parameters()]
    assert [weight.dim() > 1 for weight in Stack(mine).parameters()] == flat


class StrangeError(Exception):
    """What a network of somebody's own may raise."""


class Picky(nn.Module):
    """A part that knows how many channels it wants."""

    def forward(self, maps: Tensor) -> Tensor:
        if maps.shape[1] != 4:
            raise StrangeError
        return maps


class Odd(nn.Module):
    """A classifier with one part that does not stack."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.conv, self.part, self.last = nn.Conv2d(2, 4, 3), part, nn.Linear(4, 5)

    def forward(self, seen: Tensor) -> Tensor:
        logits: Tensor = self.last(self.part(self.conv(seen)).mean((2, 3)))
        return logits


@pytest.mark.parametrize(
    ("part", "same"),
    [
        (nn.ReLU(), True),
        (nn.GroupNorm(2, 4), False),
        (nn.Dropout(0.5), False),
        (nn.Softmax(dim=1), False),
        (nn.PReLU(4), False),
        (nn.Conv2d(4, 4, 1, groups=2), True),
        (nn.MaxPool2d(2), True),
        (Picky(), False),
    ],
)
def test_parts_that_mix_channels_or_draw_at_random_are_noticed(part: Any, same: bool) -> None:
    mine = [Odd(copy.deepcopy(part)) for _ in range(2)]
    before = torch.get_rng_state()
    assert agrees(mine, (2, 16, 16)) is same
    assert torch.equal(torch.get_rng_state(), before)


def test_a_part_with_weights_that_cannot_be_joined_is_named() -> None:
    with pytest.raises(ValueError, match="GroupNorm cannot be stacked"):
        Stack([Odd(nn.GroupNorm(2, 4)) for _ in range(2)])


@pytest.mark.parametrize("name", sorted(set(models) - SLOW - UNLIKE))
def test_what_networks_do_otherwise_in_bf16_is_stacked_too(name: str) -> None:
    mine = [network.train() for network in networks(name, count=2)]
    seen = [image.float() for image in images(2)]
    stack = Stack(mine).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        together = stack(torch.cat(seen, dim=1))
        apart = torch.stack([network(own) for network, own in zip(mine, seen, strict=True)], dim=1)
    together.sum().backward()
    assert torch.allclose(together.float(), apart.float(), atol=0.05)
