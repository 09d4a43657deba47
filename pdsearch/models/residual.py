"""What is a residual block? Convolutions around a shortcut, with or without weights of its own."""

from torch import Tensor, nn
from torch.nn import functional

from pdsearch.errors import ConfigError
from pdsearch.models.layers import conv_bn

__all__ = ["BasicBlock", "Bottleneck", "shortcut_of"]


class Pad(nn.Module):
    """He et al.'s shortcut without weights (option A): every second position, new channels zero."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = outputs - inputs, stride

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        before = self.extra // 2
        # As maps[:, :, ::stride, ::stride], whose gradient would leave channels_last: every layer before it would pay.
        thinned = functional.avg_pool2d(maps, 1, self.stride)
        return functional.pad(thinned, (0, 0, 0, 0, before, self.extra - before))


def shortcut_of(kind: str, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return what goes around a block: the identity where the shape stays, else the kind that is asked for.

    Args:
        kind: "projection" (1x1 convolution and batch normalisation, option B) or "pad" (option A).
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the block.

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
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the first convolution.
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
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the 3x3 convolution.
        inner: Channels around the 3x3 convolution.
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
    """Return ReLU of what the layers make of the maps and what was led around them."""
    changed: Tensor = layers(maps)
    changed += around  # In place: the gradients need no sum, and memory is what this costs.
    return functional.relu(changed, inplace=True)
