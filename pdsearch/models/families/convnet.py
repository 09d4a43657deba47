"""Which networks suit small grey images, 8x8 to 28x28? Plain stacks of convolutions, large to small."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from pdsearch.errors import ConfigError
from pdsearch.models.layers import conv_bn, he_init, pool
from pdsearch.models.network import Network
from pdsearch.models.registry import models

__all__ = ["ConvNet"]

WIDTHS = {"convnet_l": (48, 96, 128), "convnet_m": (16, 32, 64), "convnet_s": (8, 16)}


class ConvNet(Network):
    """Stages of 3x3 convolution, batch normalisation and ReLU, the resolution halved between stages.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 2 ** (stages - 1).
        widths: Channels of each stage.

    Raises:
        ConfigError: The image is too small for so many stages.
    """

    def __init__(self, *, num_classes: int, channels: int, image_size: int, widths: Sequence[int]) -> None:
        super().__init__()
        if image_size < 2 ** (len(widths) - 1):
            raise ConfigError(f"{len(widths)} stages need images of {2 ** (len(widths) - 1)} pixels or more")
        inputs = (channels, *widths[:-1])
        self.stages = nn.ModuleList(
            conv_bn(i, o, relu=nn.ReLU()) for i, o in zip(inputs, widths, strict=True)
        )
        self.classifier = nn.Linear(widths[-1], num_classes)
        he_init(self)

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return stage1.., each (B, width, size / 2 ** k, ...), and pooled."""
        found: dict[str, Tensor] = {}
        maps = images
        for number, stage in enumerate(self.stages, start=1):
            maps = stage(maps if number == 1 else functional.max_pool2d(maps, 2))
            found[f"stage{number}"] = maps
        return found | {"pooled": pool(maps)}


for name, widths in WIDTHS.items():
    models.add(name)(partial(ConvNet, widths=widths))
