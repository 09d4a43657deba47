"""torchvision's MobileNetV2 and vision transformer, at a size for images of 32 pixels and one core."""

from torch import nn
from torchvision.models import MobileNetV2, VisionTransformer

ROWS = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 2, 2), (6, 64, 2, 2), (6, 96, 2, 1), (6, 160, 1, 1))
"""Expansion, channels, blocks and stride of each row of MobileNetV2, shortened."""


def mobilenet(*, num_classes: int, channels: int, image_size: int, width: float = 0.5) -> nn.Module:
    """MobileNetV2 of a width, strided for 32 pixels: its last stage sees 4 x 4.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image, 3.
        image_size: Height and width of an image; any.
        width: Factor of all channels.
    """
    del channels, image_size
    network = MobileNetV2(num_classes, width, [list(row) for row in ROWS], round_nearest=4, dropout=0.0)
    last = network.features[-1]
    last[0] = nn.Conv2d(last[0].in_channels, 128, 1, bias=False)
    last[1] = nn.BatchNorm2d(128)
    network.classifier = nn.Linear(128, num_classes)
    return network


def vit(
    *, num_classes: int, channels: int, image_size: int, depth: int = 3, heads: int = 4, width: int = 64
) -> nn.Module:
    """A vision transformer with patches of 4 pixels and an MLP twice as wide as its tokens.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image, 3.
        image_size: Height and width of an image, a multiple of 4.
        depth: Blocks.
        heads: Attention heads of each block.
        width: Width of a token, a multiple of heads.
    """
    del channels
    return VisionTransformer(image_size, 4, depth, heads, width, 2 * width, num_classes=num_classes)
