"""Wide residual networks for 32x32 images (Zagoruyko and Komodakis), by depth and widening factor."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from pdsearch.errors import ConfigError
from pdsearch.models.network import StagedNetwork, refuse_small, with_drawn_weights
from pdsearch.models.registry import models

SIZES = ((16, 1), (16, 2), (16, 4), (16, 8), (28, 2), (28, 4), (28, 10), (40, 1), (40, 2), (40, 4))


class PreActivationBlock(nn.Module):
    """Batch normalisation and ReLU before each of two 3x3 convolutions, around a shortcut.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the first convolution.
        inner: Channels between the convolutions.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, inner: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inputs), nn.BatchNorm2d(inner)
        self.conv1 = nn.Conv2d(inputs, inner, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(inner, outputs, 3, 1, 1, bias=False)
        self.same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if self.same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        active = functional.relu(self.bn1(maps), inplace=True)
        changed: Tensor = self.conv2(functional.relu(self.bn2(self.conv1(active)), inplace=True))
        # Where the shape changes, the shortcut also takes the normalised maps as input.
        around: Tensor = maps if self.same else self.shortcut(active)
        return around + changed


def wide_resnet(
    *, num_classes: int, channels: int, image_size: int, depth: int, widths: Sequence[int], init: str = "he"
) -> StagedNetwork:
    """The wide residual network WRN-depth-factor, without dropout.

    Source:
        Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016, arXiv 1605.07146.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 4.
        depth: 6 n + 4.
        widths: Channels of the first convolution and of the three stages.
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: The depth is not 6 n + 4, the widths are not four, or the images are too small.
    """
    refuse_small(image_size, 4)
    blocks = (depth - 4) // 6
    if (depth - 4) % 6 or blocks < 1:
        raise ConfigError(f"no network has depth {depth}", where="options.depth", hint="6 n + 4 fits")
    if len(widths) != 4:
        raise ConfigError(f"{len(widths)} widths, 4 needed", where="options.widths")
    stages: list[nn.Module] = []
    for number in range(3):
        inputs, outputs = widths[number], widths[number + 1]
        first = PreActivationBlock(inputs, outputs, stride=min(number, 1) + 1, inner=outputs)
        rest = [PreActivationBlock(outputs, outputs, stride=1, inner=outputs) for _ in range(blocks - 1)]
        stages.append(nn.Sequential(first, *rest))
    stem = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
    head = nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU())
    return with_drawn_weights(
        StagedNetwork(stages, nn.Linear(widths[-1], num_classes), stem=stem, head=head), init
    )


for depth, factor in SIZES:
    widths = (16, 16 * factor, 32 * factor, 64 * factor)
    models.add(f"wrn_{depth}_{factor}")(partial(wide_resnet, depth=depth, widths=widths))
