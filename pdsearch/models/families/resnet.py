"""ResNets for small images: three stages for CIFAR, and ResNet-18, -34 and -50 with a stem that keeps the size."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.models.network import (
    BasicBlock,
    Bottleneck,
    StagedNetwork,
    conv_bn,
    refuse_small,
    with_drawn_weights,
)
from pdsearch.models.registry import models

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
LARGE = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


def cifar_resnet(
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    depth: int,
    widths: Sequence[int] = (16, 16, 32, 64),
    inner: Sequence[int] | None = None,
    shortcut: str = "projection",
    init: str = "he",
) -> StagedNetwork:
    """The residual network for CIFAR: three stages of basic blocks.

    Shortcuts are projections, as in the distillation literature (Tian et al., arXiv 1910.10699), by default.

    Source:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv 1512.03385,
        section 4.2.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 4.
        depth: Layers with weights, 6 n + 2.
        widths: Channels of the first convolution and of the three stages.
        inner: Channels inside each of the 3 n blocks, in order; those of the stage by default.
        shortcut: "projection", or "pad" for He et al.'s own (no weights).
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: An argument does not fit.
    """
    refuse_small(image_size, 4)
    blocks = (depth - 2) // 6
    if (depth - 2) % 6 or blocks < 1:
        raise ConfigError(f"no network has depth {depth}", where="options.depth", hint="6 n + 2 fits")
    if len(widths) != 4:
        raise ConfigError(f"{len(widths)} widths, 4 needed", where="options.widths")
    if inner is None:
        inner = [width for width in widths[1:] for _ in range(blocks)]
    if len(inner) != 3 * blocks:
        raise ConfigError(f"{len(inner)} inner widths for {3 * blocks} blocks", where="options.inner")
    stages = []
    for number in range(3):
        within = inner[number * blocks : (number + 1) * blocks]
        stages.append(_stage(widths[number], widths[number + 1], min(number, 1) + 1, within, shortcut))
    stem = conv_bn(channels, widths[0])
    return with_drawn_weights(StagedNetwork(stages, nn.Linear(widths[-1], num_classes), stem=stem), init)


def _stage(inputs: int, outputs: int, stride: int, inner: Sequence[int], shortcut: str) -> nn.Module:
    first = BasicBlock(inputs, outputs, stride=stride, inner=inner[0], shortcut=shortcut)
    rest = [BasicBlock(outputs, outputs, stride=1, inner=width, shortcut=shortcut) for width in inner[1:]]
    return nn.Sequential(first, *rest)


def large_resnet(
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    depths: Sequence[int],
    bottleneck: bool,
    widths: Sequence[int] = (64, 128, 256, 512),
    init: str = "he",
) -> StagedNetwork:
    """ImageNet's residual network of four stages, its stem changed for small images.

    The 7x7 convolution of stride 2 and the max pooling are replaced by one 3x3 convolution of stride 1.

    Source:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv 1512.03385, table 1.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 8.
        depths: Blocks of each stage.
        bottleneck: Blocks of three convolutions, four times as wide outside, instead of two.
        widths: Channels inside the blocks of each stage; the first are the stem's too.
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: The images are too small, or there is not one width for every stage.
    """
    refuse_small(image_size, 8)
    if len(widths) != len(depths):
        raise ConfigError(f"{len(widths)} widths for {len(depths)} stages", where="options.widths")
    expansion = 4 if bottleneck else 1
    block = Bottleneck if bottleneck else BasicBlock
    stages, inputs = [], widths[0]
    for number, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        blocks: list[nn.Module] = []
        for position in range(depth):
            stride = 2 if number and not position else 1
            blocks.append(block(inputs, width * expansion, stride=stride, inner=width))
            inputs = width * expansion
        stages.append(nn.Sequential(*blocks))
    return with_drawn_weights(
        StagedNetwork(stages, nn.Linear(inputs, num_classes), stem=conv_bn(channels, widths[0])), init
    )


for depth in DEPTHS:
    models.add(f"resnet{depth}")(partial(cifar_resnet, depth=depth))
for depth in (8, 32):
    models.add(f"resnet{depth}x4")(partial(cifar_resnet, depth=depth, widths=(32, 64, 128, 256)))
for name, depths in LARGE.items():
    models.add(name)(partial(large_resnet, depths=depths, bottleneck=name == "resnet50"))
