"""Which layers do several families share? Convolution with batch normalisation, pooling, initial weights."""

from typing import TypeVar

from torch import Tensor, nn

from pdsearch.errors import ConfigError

__all__ = ["conv_bn", "he_init", "pool", "refuse_small"]

M = TypeVar("M", bound=nn.Module)


def conv_bn(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Return convolution (padded, no bias), batch normalisation and, unless told otherwise, ReLU.

    Raises:
        ConfigError: A width that an option names leaves the layer without channels.
    """
    if outputs < 1:
        raise ConfigError(
            f"no layer has {outputs} channels", where="options.widths", hint="1 or more fit, each"
        )
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


def pool(maps: Tensor) -> Tensor:
    """Return the mean over all positions: (B, C, H, W) to (B, C)."""
    # adaptive_avg_pool2d gives the same bits, but a gradient that is not channels_last: every layer before it pays.
    return maps.permute(0, 2, 3, 1).mean((1, 2))


def he_init(network: M) -> M:
    """Draw weights as He et al. (arXiv 1502.01852) do: convolutions normal by fan-out; linear layers small.

    Batch normalisation starts at weight 1 and bias 0, linear layers at N(0, 0.01), all biases at 0.
    """
    for module in network.modules():
        if any(weight.is_meta for weight in module.parameters(recurse=False)):
            continue  # Nothing to draw, and torch would load its compiler for it: a second.
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network


def refuse_small(image_size: int, smallest: int) -> None:
    """Refuse images that a network would shrink to nothing.

    Raises:
        ConfigError: The images are smaller, in pixels, than the smallest.
    """
    if image_size < smallest:
        raise ConfigError(f"it needs images of {smallest} pixels or more, not {image_size}")
