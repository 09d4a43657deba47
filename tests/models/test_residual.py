"""Blocks add their convolutions to a shortcut, and shortcuts are He et al.'s."""

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.models.blocks import BasicBlock, Bottleneck, shortcut_of

MAPS = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["projection", "pad"])
def test_nothing_is_in_the_way_where_the_shape_stays(kind: str) -> None:
    assert isinstance(shortcut_of(kind, 4, 4, 1), nn.Identity)


@pytest.mark.parametrize(("outputs", "before"), [(8, 2), (7, 1), (4, 0)])
def test_padding_takes_every_second_position_and_puts_zeros_around_the_channels(
    outputs: int, before: int
) -> None:
    shortcut = shortcut_of("pad", 4, outputs, 2)
    expected = torch.zeros(2, outputs, 3, 3)
    expected[:, before : before + 4] = MAPS[:, :, ::2, ::2]
    assert torch.equal(shortcut(MAPS), expected)
    assert list(shortcut.parameters()) == []


@pytest.mark.parametrize(("outputs", "stride"), [(8, 1), (4, 2), (2, 2)])
def test_a_projection_is_one_by_one_normalised_and_linear(outputs: int, stride: int) -> None:
    shortcut = shortcut_of("projection", 4, outputs, stride)
    maps = shortcut(MAPS)
    assert maps.shape == (2, outputs, 6 // stride, 6 // stride)
    assert (maps < 0).any()
    assert [tuple(weight.shape) for weight in shortcut.parameters()] == [
        (outputs, 4, 1, 1),
        (outputs,),
        (outputs,),
    ]


@pytest.mark.parametrize(("kind", "outputs"), [("none", 4), ("", 8), ("pad", 3)])
def test_shortcuts_that_do_not_fit_are_refused(kind: str, outputs: int) -> None:
    with pytest.raises(ConfigError, match=f"no shortcut '{kind}' from 4 to {outputs} channels"):
        shortcut_of(kind, 4, outputs, 1)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_basic_block_adds_its_second_convolution_to_the_shortcut(stride: int) -> None:
    block = BasicBlock(4, 4, stride=stride, inner=3, shortcut="pad").eval()
    shortcut = MAPS[:, :, ::stride, ::stride]
    changed = block.second(block.first(MAPS))
    assert changed.shape == shortcut.shape
    assert (changed < 0).any()
    assert torch.equal(block(MAPS), (changed + shortcut).relu())


def test_a_basic_block_s_stride_is_its_first_convolution_s() -> None:
    block = BasicBlock(4, 8, stride=2, inner=3)
    assert block.first(MAPS).shape == (2, 3, 3, 3)
    assert block(MAPS).shape == (2, 8, 3, 3)


def test_a_bottleneck_s_stride_is_that_of_its_middle() -> None:
    block = Bottleneck(4, 8, stride=2, inner=3).eval()
    first = block.first(MAPS)
    second = block.second(first)
    assert first.shape == (2, 3, 6, 6)
    assert second.shape == (2, 3, 3, 3)
    assert [layers[0].kernel_size for layers in (block.first, block.second, block.third)] == [
        (1, 1),
        (3, 3),
        (1, 1),
    ]
    assert torch.equal(block(MAPS), (block.third(second) + block.shortcut(MAPS)).relu())


@pytest.mark.parametrize("block", [BasicBlock(4, 4, stride=1, inner=3), Bottleneck(4, 4, stride=1, inner=3)])
def test_what_a_block_adds_up_needs_no_memory_of_its_own_and_leaves_its_input(block: nn.Module) -> None:
    changed: list[torch.Tensor] = []
    last = [layer for layer in block.modules() if isinstance(layer, nn.BatchNorm2d)][-1]
    last.register_forward_hook(lambda _layer, _inputs, maps: changed.append(maps))
    maps = MAPS.clone().requires_grad_()
    result = block(maps)
    result.sum().backward()
    assert result.data_ptr() == changed[0].data_ptr()
    assert torch.equal(maps, MAPS)
