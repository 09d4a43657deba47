"""MobileNetV2 for 32x32 images, at half width, as in the distillation literature."""

from collections.abc import Sequence

from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.network import StagedNetwork, conv_bn, refuse_small, with_drawn_weights
from pdsearch.models.registry import models

SETTINGS = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride (Sandler et al., table 2; the second stride is 1 here)."""


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise 3x3 and 1x1 projection; the input is added if the shape is the same.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the 3x3 convolution.
        inner: Channels after the expansion.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, inner: int) -> None:
        super().__init__()
        self.widen = conv_bn(inputs, inner, kernel=1)
        self.filter = conv_bn(inner, inner, stride=stride, groups=inner)
        self.narrow = conv_bn(inner, outputs, kernel=1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        changed: Tensor = self.narrow(self.filter(self.widen(maps)))
        return maps + changed if self.residual else changed


def scaled(factor: float) -> tuple[int, ...]:
    """Return the widths with all channels multiplied by a factor; the last convolution keeps at least 1280."""
    inputs = int(32 * factor)
    widths = [inputs]
    for expansion, base, blocks, _ in SETTINGS:
        outputs = int(base * factor)
        widths += [inputs * expansion, outputs, *[outputs * expansion] * (blocks - 1)]
        inputs = outputs
    return (*widths, max(1280, int(1280 * factor)))


def mobilenetv2(
    *, num_classes: int, channels: int, image_size: int, widths: Sequence[int] = scaled(0.5), init: str = "he"
) -> StagedNetwork:
    """MobileNetV2, half as wide and for small images: inverted residuals, as in the distillation literature.

    Source:
        Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018,
        arXiv 1801.04381, in the form of Tian, Krishnan, Isola, arXiv 1910.10699.

    Args:
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, >= 16.
        widths: Channels in network order: of the first convolution; for each row of the settings those inside its
            first block, those its blocks put out, and those inside each further block; of the last convolution.
        init: How weights are drawn: "he" as He et al., or "torch" as PyTorch's layers do by themselves.

    Raises:
        ConfigError: The images are too small, or the widths are not as many as that.
    """
    refuse_small(image_size, 16)
    if len(widths) != len(scaled(1)):
        raise ConfigError(f"{len(widths)} widths, {len(scaled(1))} needed", where="options.widths")
    rest = iter(widths)
    inputs = next(rest)
    stem = conv_bn(channels, inputs, stride=2)
    stages: list[list[nn.Module]] = [[]]
    for _, _, blocks, stride in SETTINGS:
        inner, outputs = next(rest), next(rest)
        if stride == 2:
            stages.append([])
        stages[-1].append(InvertedResidual(inputs, outputs, stride=stride, inner=inner))
        stages[-1] += [
            InvertedResidual(outputs, outputs, stride=1, inner=next(rest)) for _ in range(blocks - 1)
        ]
        inputs = outputs
    head = conv_bn(inputs, widths[-1], kernel=1)
    classifier = nn.Linear(widths[-1], num_classes)
    return with_drawn_weights(
        StagedNetwork([nn.Sequential(*stage) for stage in stages], classifier, stem=stem, head=head), init
    )


models.add("mobilenetv2")(mobilenetv2)
