"""ShuffleNetV2 for 32x32 images, at width 1, as in the distillation literature."""

from collections.abc import Sequence

from torch import Tensor, cat, nn

from pdsearch.errors import ConfigError
from pdsearch.models.network import StagedNetwork, conv_bn, refuse_small, with_drawn_weights
from pdsearch.models.registry import models

BLOCKS = (4, 8, 4)


def shuffle(maps: Tensor) -> Tensor:
    """Return the maps with the channels of their two halves interleaved."""
    # In channels-last order: shuffling (B, C, H, W) would lose the memory format and slow the layers after it.
    halves = maps.permute(0, 2, 3, 1).unflatten(-1, (2, -1))
    shuffled: Tensor = halves.transpose(-1, -2).flatten(-2)
    return shuffled.permute(0, 3, 1, 2)


def _branch(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv_bn(inputs, outputs, kernel=1),
        conv_bn(outputs, outputs, stride=stride, groups=outputs, relu=False),
        conv_bn(outputs, outputs, kernel=1),
    )


class ShuffleUnit(nn.Module):
    """Half of the channels pass unchanged, half through a branch; then both are shuffled (figure 3 c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        kept, changed = maps.chunk(2, dim=1)
        return shuffle(cat([kept, self.branch(changed)], dim=1))


class ShuffleDown(nn.Module):
    """Two branches of stride 2 over all channels, then shuffled (figure 3 d).

    Args:
        inputs: Input channels.
        outputs: Output channels, half from each branch.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.left = nn.Sequential(
            conv_bn(inputs, inputs, stride=2, groups=inputs, relu=False),
            conv_bn(inputs, outputs // 2, kernel=1),
        )
        self.right = _branch(inputs, outputs // 2, 2)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / 2, W / 2)."""
        return shuffle(cat([self.left(maps), self.right(maps)], dim=1))


def shufflenetv2(
    *,
    num_classes: int,
    channels: int,
    image_size: int,
    widths: Sequence[int] = (24, 58, 116, 232, 1024),
    init: str = "he",
) -> StagedNetwork:
    """ShuffleNetV2 for small images: halves of the channels shuffled between units.

    Source:
        Ma, Zhang, Zheng, Sun, "ShuffleNet V2: practical guidelines for efficient CNN architecture design", ECCV 2018,
        arXiv 1807.11164, in the form of Tian, Krishnan, Isola, arXiv 1910.10699.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 8.
        widths: Channels of the first convolution, of one branch of each stage (half of what the stage puts out),
            and of the last convolution.
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: The images are too small, or there are not five widths.
    """
    refuse_small(image_size, 8)
    if len(widths) != len(BLOCKS) + 2:
        raise ConfigError(f"{len(widths)} widths, {len(BLOCKS) + 2} needed", where="options.widths")
    stages, inputs, last = [], widths[0], widths[-1]
    for branch, blocks in zip(widths[1:-1], BLOCKS, strict=True):
        units = [ShuffleUnit(2 * branch) for _ in range(blocks - 1)]
        stages.append(nn.Sequential(ShuffleDown(inputs, 2 * branch), *units))
        inputs = 2 * branch
    stem, head = conv_bn(channels, widths[0], kernel=1), conv_bn(inputs, last, kernel=1)
    return with_drawn_weights(StagedNetwork(stages, nn.Linear(last, num_classes), stem=stem, head=head), init)


models.add("shufflenetv2")(shufflenetv2)
