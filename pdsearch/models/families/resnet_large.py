"""ResNet-18, -34 and -50 for 64x64 images, with a stem that keeps the resolution."""

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

DEPTHS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}


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


for name, depths in DEPTHS.items():
    models.add(name)(partial(large_resnet, depths=depths, bottleneck=name == "resnet50"))
