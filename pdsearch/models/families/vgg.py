"""VGG networks for small colour images, with one linear layer, as in the pruning literature."""

from collections.abc import Sequence
from functools import partial

from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.models.network import StagedNetwork, conv_bn, refuse_small, with_drawn_weights
from pdsearch.models.registry import models

DEPTHS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
WIDTHS = (64, 128, 256, 512, 512)
DOUBLED = (64, 128, 256, 256, *[512] * 4, *[1024] * 7, 512)


def vgg(
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    depths: Sequence[int],
    widths: Sequence[int],
    init: str = "he",
) -> StagedNetwork:
    """VGG for small images: stages of 3x3 convolutions, each with batch normalisation and ReLU.

    Max pooling between the stages, the mean over positions after the last, one linear layer.

    Source:
        Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015, arXiv
        1409.1556, in the form of Liu and others, arXiv 1810.05270.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 16 with five stages.
        depths: Convolutions of each stage.
        widths: Channels of every convolution, in order.
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: The images are too small, or there is not one width for every convolution.
    """
    refuse_small(image_size, 2 ** (len(depths) - 1))
    if len(widths) != sum(depths):
        raise ConfigError(f"{len(widths)} widths for {sum(depths)} convolutions", where="options.widths")
    inputs, outputs = iter((channels, *widths)), iter(widths)
    stages: list[nn.Module] = []
    for number, depth in enumerate(depths):
        layers: list[nn.Module] = [nn.MaxPool2d(2)] if number else []
        layers += [conv_bn(next(inputs), next(outputs)) for _ in range(depth)]
        stages.append(nn.Sequential(*layers))
    return with_drawn_weights(StagedNetwork(stages, nn.Linear(widths[-1], num_classes)), init)


for name, depths in DEPTHS.items():
    widths = tuple(width for width, depth in zip(WIDTHS, depths, strict=True) for _ in range(depth))
    models.add(f"{name}_bn")(partial(vgg, depths=depths, widths=widths))
# The paper's larger teacher: VGG-19 with all convolutions but the first and the last doubled.
models.add("vgg19dbl_bn")(partial(vgg, depths=DEPTHS["vgg19"], widths=DOUBLED))
