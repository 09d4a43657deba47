"""Plain stacks of convolutions for small grey images, 8x8 to 28x28."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from torch import nn

from pdsearch.models.network import StagedNetwork, conv_bn, refuse_small, with_drawn_weights
from pdsearch.models.registry import models

WIDTHS = {"convnet_l": (48, 96, 128), "convnet_m": (16, 32, 64), "convnet_s": (8, 16)}


def convnet(
    *, num_classes: int, channels: int, image_size: int, widths: Sequence[int], init: str = "he"
) -> StagedNetwork:
    """A plain stack for small images: 3x3 convolution, batch normalisation and ReLU, max pooling between the stages.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 2 ** (stages - 1).
        widths: Channels of each stage.
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: The images are too small for so many stages.
    """
    refuse_small(image_size, 2 ** (len(widths) - 1))
    stages: list[nn.Module] = [conv_bn(channels, widths[0])]
    for inputs, outputs in pairwise(widths):
        stages.append(nn.Sequential(nn.MaxPool2d(2), *conv_bn(inputs, outputs)))
    return with_drawn_weights(StagedNetwork(stages, nn.Linear(widths[-1], num_classes)), init)


for name, widths in WIDTHS.items():
    models.add(name)(partial(convnet, widths=widths))
