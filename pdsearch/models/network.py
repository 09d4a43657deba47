"""Base classes of the built-in networks, and the layers and residual blocks that their families share.

A network has named features and one linear classifier; `forward` returns logits.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional

from pdsearch.errors import ConfigError

M = TypeVar("M", bound=nn.Module)


class Network(nn.Module, ABC):
    """A classifier with access to its intermediate features.

    `features` returns, in order, `stage1`, `stage2`, ...: the last feature map of each stage, (B, C, H, W), a
    stage being a run of layers at one resolution; and last `pooled`: (B, F), the input of the classifier.
    `forward(x)` is `classifier(features(x)["pooled"])`: code that needs both runs the trunk once.

    Args:
        classifier: The last linear layer.
    """

    classifier: nn.Linear

    @abstractmethod
    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return feature maps by stage, and `pooled`, of images (B, C, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes)."""
        return self.logits_and_features(images)[0]

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return logits, (B, classes), and `features` of the same pass."""
        features = self.features(images)
        return self.classifier(features["pooled"]), features


class StagedNetwork(Network):
    """A stem, stages one after another, a head, the mean over positions, the classifier.

    Args:
        stages: The module of each stage, downsampling included.
        classifier: The last linear layer.
        stem: Module before the first stage.
        head: Module between the last stage and the mean.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        classifier: nn.Linear,
        *,
        stem: nn.Module | None = None,
        head: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stem = stem or nn.Identity()
        self.stages = nn.ModuleList(stages)
        self.head = head or nn.Identity()
        self.classifier = classifier

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return stage1, stage2, ... and pooled."""
        found: dict[str, Tensor] = {}
        maps = self.stem(images)
        for number, stage in enumerate(self.stages, start=1):
            maps = stage(maps)
            found[f"stage{number}"] = maps
        return found | {"pooled": pool(self.head(maps))}


def conv_bn(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Return a convolution (padded, no bias), batch normalisation and, by default, ReLU.

    Raises:
        ConfigError: An option's width leaves the layer without channels.
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
    # adaptive_avg_pool2d gives the same bits, but its gradient is not channels_last, which slows all earlier layers.
    return maps.permute(0, 2, 3, 1).mean((1, 2))


def he_init(network: M) -> M:
    """Draw weights as He et al. (arXiv 1502.01852) do: convolutions normal by fan-out; linear layers small.

    Batch normalisation starts at weight 1 and bias 0, linear layers at N(0, 0.01), all biases at 0.
    """
    for module in network.modules():
        if any(weight.is_meta for weight in module.parameters(recurse=False)):
            continue  # Nothing to draw, and torch would import its compiler for it, which takes a second.
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network


def with_drawn_weights(network: M, init: str) -> M:
    """Return a network with its weights drawn by the option `init`: "he" (`he_init`), or "torch", as each layer did.

    PyTorch's layers draw evenly by fan-in (He et al. with a = sqrt(5)), linear ones too, and start wider at the logits.

    Raises:
        ConfigError: There is no such way.
    """
    if init not in ("he", "torch"):
        raise ConfigError(f"no weights are drawn by {init!r}", where="options.init", hint="known: he, torch")
    return he_init(network) if init == "he" else network


def refuse_small(image_size: int, smallest: int) -> None:
    """Check that images are large enough for a network's downsampling.

    Raises:
        ConfigError: The images are smaller, in pixels, than `smallest`.
    """
    if image_size < smallest:
        raise ConfigError(f"it needs images of {smallest} pixels or more, not {image_size}")


class Pad(nn.Module):
    """He et al.'s shortcut without weights (option A): every second position, new channels zero."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = outputs - inputs, stride

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        before = self.extra // 2
        # Like maps[:, :, ::stride, ::stride], whose gradient would lose channels_last and slow all earlier layers.
        thinned = functional.avg_pool2d(maps, 1, self.stride)
        return functional.pad(thinned, (0, 0, 0, 0, before, self.extra - before))


def shortcut_of(kind: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return the shortcut of a block: the identity if the shape stays the same, else the given kind.

    Args:
        kind: "projection" (1x1 convolution and batch normalisation, option B) or "pad" (option A).
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the block.

    Raises:
        ConfigError: The kind is unknown, or padding would have to remove channels.
    """
    if kind not in {"projection", "pad"} or (kind == "pad" and outputs < inputs):
        hint = "projection fits everywhere; pad where channels only grow"
        raise ConfigError(
            f"no shortcut {kind!r} from {inputs} to {outputs} channels", where="options.shortcut", hint=hint
        )
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if kind == "pad":
        return Pad(inputs, outputs, stride)
    return conv_bn(inputs, outputs, kernel=1, stride=stride, relu=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., arXiv 1512.03385, figure 5, left).

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the first convolution.
        inner: Channels between the convolutions.
        shortcut: See `shortcut_of`.
    """

    def __init__(
        self, inputs: int, outputs: int, *, stride: int, inner: int, shortcut: str = "projection"
    ) -> None:
        super().__init__()
        self.first = conv_bn(inputs, inner, stride=stride)
        self.second = conv_bn(inner, outputs, relu=False)
        self.shortcut = shortcut_of(shortcut, inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        return _joined(self.second, self.first(maps), self.shortcut(maps))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut (He et al., figure 5, right); the 3x3 has the stride.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        stride: Stride of the 3x3 convolution.
        inner: Channels of the 3x3 convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, inner: int) -> None:
        super().__init__()
        self.first = conv_bn(inputs, inner, kernel=1)
        self.second = conv_bn(inner, inner, stride=stride)
        self.third = conv_bn(inner, outputs, kernel=1, relu=False)
        self.shortcut = shortcut_of("projection", inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        return _joined(self.third, self.second(self.first(maps)), self.shortcut(maps))


def _joined(layers: nn.Module, maps: Tensor, around: Tensor) -> Tensor:
    """Return ReLU(layers(maps) + around)."""
    changed: Tensor = layers(maps)
    changed += around  # In place to save memory; the backward pass does not need the operands.
    return functional.relu(changed, inplace=True)
