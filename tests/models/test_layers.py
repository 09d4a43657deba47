"""Shared layers have the shapes and the initial weights that papers give them."""

import math

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.models.blocks import conv_bn, he_init, pool, refuse_small


@pytest.mark.parametrize(
    ("kernel", "stride", "size"), [(3, 1, 8), (1, 1, 8), (5, 1, 8), (3, 2, 4), (1, 2, 4)]
)
def test_convolutions_are_padded_so_that_only_the_stride_counts(kernel: int, stride: int, size: int) -> None:
    maps = conv_bn(3, 4, kernel=kernel, stride=stride)(torch.zeros(2, 3, 8, 8))
    assert maps.shape == (2, 4, size, size)


def test_convolution_has_no_bias_and_may_be_grouped() -> None:
    conv, norm, relu = conv_bn(4, 8, groups=4)
    assert isinstance(conv, nn.Conv2d)
    assert (conv.bias, conv.weight.shape) == (None, (8, 1, 3, 3))
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(relu, nn.ReLU)


def test_relu_can_be_left_out() -> None:
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert (conv_bn(3, 4)(images) >= 0).all()
    assert (conv_bn(3, 4, relu=False)(images) < 0).any()


def test_pool_is_the_mean_over_positions() -> None:
    maps = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert pool(maps).tolist() == [[5.5, 17.5]]


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


def test_layers_without_bias_get_none() -> None:
    network = he_init(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Linear(1, 1, bias=False)))
    assert len(list(network.parameters())) == 2


@pytest.mark.parametrize("outputs", [0, -3])
def test_a_layer_without_channels_is_refused(outputs: int) -> None:
    with pytest.raises(ConfigError, match=f"^options.widths: no layer has {outputs} channels"):
        conv_bn(1, outputs)


def test_small_images_are_refused_below_the_smallest() -> None:
    refuse_small(8, 8)
    with pytest.raises(ConfigError, match="needs images of 8 pixels or more, not 7"):
        refuse_small(7, 8)
