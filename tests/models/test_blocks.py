"""Layers and blocks of the built-in families."""

import math

import pytest
import torch
from torch import nn

from pdsearch.models.network import BasicBlock, Bottleneck, conv_bn, he_init, pool, shortcut_of


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(3, 1, 8), (1, 1, 8), (5, 1, 8), (3, 2, 4), (1, 2, 4)]
)
def test_convolutions_are_padded_so_that_only_the_stride_counts(kernel: int, stride: int, size: int) -> None:
    maps = conv_bn(3, 4, kernel=kernel, stride=stride)(torch.zeros(2, 3, 8, 8))
    assert maps.shape == (2, 4, size, size)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (4, 7), (8, 8), (13, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pool_and_its_gradient_are_torch_s_own_to_the_bit(
    size: tuple[int, int], dtype: torch.dtype, layout: torch.memory_format
) -> None:
    random = torch.Generator().manual_seed(0)
    maps = torch.randn(5, 65, *size, generator=random).to(dtype).to(memory_format=layout)
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    means, expected = pool(ours), nn.functional.adaptive_avg_pool2d(theirs, 1).flatten(1)
    assert torch.equal(means, expected)
    given = torch.randn(5, 65, generator=random).to(dtype)
    torch.autograd.backward([means, expected], [given, given])
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_initial_weights_spread_as_in_the_paper() -> None:
    conv, norm, linear = nn.Conv2d(64, 128, 3, stride=2), nn.BatchNorm2d(128), nn.Linear(400, 300)
    network = nn.Sequential(conv, norm, linear)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        assert he_init(network) is network
    # Fan-out of the weights: 128 filters of 9 positions, whatever the stride.
    assert conv.weight.detach().std().item() == pytest.approx(math.sqrt(2 / (128 * 9)), rel=0.01)
    assert linear.weight.detach().std().item() == pytest.approx(0.01, rel=0.01)
    assert torch.equal(norm.weight, torch.ones(128))
    biases = [weight for name, weight in network.named_parameters() if name.endswith("bias")]
    assert [torch.count_nonzero(bias).item() for bias in biases] == [0, 0, 0]


MAPS = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("outputs", "before"), [(8, 2), (7, 1), (4, 0)])
def test_padding_takes_every_second_position_and_puts_zeros_around_the_channels(
    outputs: int, before: int
) -> None:
    shortcut = shortcut_of("pad", 4, outputs, 2)
    expected = torch.zeros(2, outputs, 3, 3)
    expected[:, before : before + 4] = MAPS[:, :, ::2, ::2]
    assert torch.equal(shortcut(MAPS), expected)
    assert list(shortcut.parameters()) == []


@pytest.mark.parametrize("stride", [1, 2])
def test_a_basic_block_adds_its_second_convolution_to_the_shortcut(stride: int) -> None:
    block = BasicBlock(4, 4, stride=stride, inner=3, shortcut="pad").eval()
    shortcut = MAPS[:, :, ::stride, ::stride]
    changed = block.second(block.first(MAPS))
    assert changed.shape == shortcut.shape
    assert (changed < 0).any()
    assert torch.equal(block(MAPS), (changed + shortcut).relu())


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
