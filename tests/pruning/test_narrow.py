"""Widths that a mask implies, and networks built with them: the same everywhere, as varied as the whole network."""

import copy
import hashlib
import subprocess
import sys
from math import prod
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models import build
from pdsearch.pruning import Mask, implied_widths, kept_part, narrow, prunable
from pdsearch.pruning.channels.finding import find_channels
from pdsearch.pruning.channels.remove import channel_mask

IMAGE = torch.zeros(1, 3, 32, 32)
SIZES: Any = {"num_classes": 10, "input_shape": (3, 32, 32)}
SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3)


def chain() -> nn.Module:
    """Return a plain network: each layer reads what the one before it puts out."""
    layers = (nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 40, 3), nn.ReLU())
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(40, 10))


def left(model: nn.Module, shares: list[float]) -> Mask:
    """Return a mask that leaves a share of each layer's weights, spread over all of its channels."""
    masks = {}
    for share, (name, weight) in zip(shares, prunable(model).items(), strict=True):
        order = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(0))
        masks[name] = (order < max(1, round(share * weight.numel()))).view(weight.shape)
    return Mask(masks)


def size(model: nn.Module) -> int:
    return sum(weight.numel() for weight in prunable(model).values())


def test_widths_are_what_remains_divided_by_what_each_layer_reads() -> None:
    model, shares = chain(), [0.5, 0.25, 0.5]
    mask = left(model, shares)
    first = round(int(mask["0.weight"].sum()) / 27)
    second = round(int(mask["2.weight"].sum()) / (9 * first))
    assert (first, second) == (12, 20)
    assert implied_widths(model, IMAGE, mask) == {"0.weight": 12, "2.weight": 20}


@pytest.mark.parametrize("name", ["torchvision/resnet18", "torchvision/mobilenet_v2"])
def test_a_mask_of_whole_channels_implies_just_those(name: str) -> None:
    model = build(name, **SIZES, seed=0)
    ties = find_channels(model, IMAGE).ties
    kept = {tie.name: tuple(range(0, tie.size, 2 + place % 2)) for place, tie in enumerate(ties)}
    mask = channel_mask(kept, ties, prunable(model))
    assert implied_widths(model, IMAGE, mask) == {tie: len(channels) for tie, channels in kept.items()}


@settings(max_examples=40)
@given(shares=SHARES, more=SHARES)
def test_widths_lie_within_the_layers_and_do_not_shrink_where_more_remains(
    shares: list[float], more: list[float]
) -> None:
    model = chain()
    whole = {tie.name: tie.size for tie in find_channels(model, IMAGE).ties}
    sizes = []
    for some in (shares, list(map(max, shares, more))):
        mask = left(model, some)
        widths = implied_widths(model, IMAGE, mask)
        assert all(1 <= width < whole[name] for name, width in widths.items())
        small = copy.deepcopy(model)
        narrow(small, IMAGE, widths)
        step = max(prod(weight.shape[1:]) for weight in prunable(small).values())
        assert size(small) <= mask.remaining + step or min(widths.values()) == 1
        sizes.append((size(small), step))
    assert sizes[0][0] <= sizes[1][0] + sizes[1][1]


def test_a_mask_that_removes_nothing_implies_the_whole_network() -> None:
    model = chain()
    assert implied_widths(model, IMAGE, Mask.full(prunable(model))) == implied_widths(model, IMAGE, {}) == {}


class Rows(nn.Module):
    """Reads an image row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.last = nn.GRU(96, 24, batch_first=True), nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        answers: Tensor = self.last(self.rows(images.transpose(1, 2).flatten(2))[0][:, -1])
        return answers


def test_matrices_that_a_mask_leaves_out_remain() -> None:
    model = Rows()
    mask = left(model, [0.2])
    assert [*mask] == ["last.weight"]
    small = copy.deepcopy(model)
    narrow(small, IMAGE, implied_widths(model, IMAGE, mask))
    remaining = sum(weight.numel() for weight in model.parameters()) - mask.total + mask.remaining
    assert sum(weight.numel() for weight in small.parameters()) == pytest.approx(remaining, rel=0.05)


def test_outputs_vary_as_in_the_whole_network() -> None:
    torch.manual_seed(0)
    whole, images = (
        nn.Sequential(nn.Conv2d(3, 256, 3), nn.ReLU(), nn.Conv2d(256, 64, 3)),
        torch.randn(4, 3, 9, 9),
    )
    whole.append(nn.Flatten()).append(nn.Linear(64 * 25, 2))
    small = copy.deepcopy(whole)
    small[0].requires_grad_(False)
    narrow(small, images[:1], {"0.weight": 32})
    assert small.get_parameter("2.weight").shape == (64, 32, 3, 3)
    with torch.no_grad():
        before, after = whole[:3](images).std(), small[:3](images).std()
    assert float(after) == pytest.approx(float(before), rel=0.1)
    torch.testing.assert_close(
        small.get_parameter("2.weight"), whole.get_parameter("2.weight")[:, :32] * 8**0.5
    )
    assert torch.equal(small.get_parameter("0.weight"), whole.get_parameter("0.weight")[:32])
    assert small.training
    assert [weight.requires_grad for weight in small.parameters()] == [False] * 2 + [True] * 4


MADE = """
import hashlib, torch
from pdsearch.models import build
from pdsearch.pruning import narrow
made = build("torchvision/mobilenet_v2", num_classes=10, input_shape=(3, 32, 32), seed=3)
narrow(made, torch.zeros(1, 3, 32, 32), {widths!r})
print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in made.state_dict().values())).hexdigest())
"""


def test_another_process_builds_the_same_bits() -> None:
    widths = {"trunk.features.0.0.weight": 7, "trunk.features.2.conv.0.0.weight": 50}
    made = build("torchvision/mobilenet_v2", **SIZES, seed=3)
    narrow(made, torch.zeros(1, 3, 32, 32), widths)
    bits = hashlib.sha256(b"".join(t.numpy().tobytes() for t in made.state_dict().values())).hexdigest()
    code = [sys.executable, "-c", MADE.format(widths=widths)]
    assert subprocess.run(code, capture_output=True, check=True, text=True).stdout.strip() == bits
    assert made(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_the_strongest_channels_are_kept_as_they_are() -> None:
    model = chain()
    with torch.no_grad():
        model.get_parameter("0.weight")[1::2] = 0.0
    part = kept_part(model, IMAGE, {"0.weight": 12})
    assert torch.equal(part.get_parameter("0.weight"), model.get_parameter("0.weight")[::2])
    assert torch.equal(part.get_parameter("2.weight"), model.get_parameter("2.weight")[:, ::2])
    assert model.get_parameter("0.weight").shape[0] == 24


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ({"0.weight": 25}, "0.weight has 24 channels, 25 were asked for"),
        ({"0.weight": 0}, "0.weight has 24 channels, 0 were asked for"),
        ({"6.weight": 2}, "6.weight has no channels that can be removed, 2 were asked for"),
    ],
)
def test_widths_that_cannot_be_are_refused(widths: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        narrow(chain(), IMAGE, widths)
    assert caught.value.hint == "from 1 to: 0.weight 24, 2.weight 40"
