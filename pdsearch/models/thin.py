"""How does a shortcut see every second position only? By a copy of them, whose gradient is cheap on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Pointwise", "every"]


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, padded nowhere, of a stride; it gives the bits of `nn.Conv2d`, and so do its gradients.

    oneDNN's gradient of a strided one walks all positions, most of which it has not seen. Trained in bf16 on a CPU, the
    positions are taken out first. In float32, and where the stride does not divide the size, the last bits would be
    others: there nothing is done.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        stride: Of the positions.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 1, stride, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        if not (self.training and self._pays(maps)):
            return super().forward(maps)
        return functional.conv2d(every(maps, self.stride[0]), self.weight, groups=self.groups)

    def _pays(self, maps: Tensor) -> bool:
        stride, (height, width) = self.stride[0], maps.shape[-2:]
        whole = height % stride == 0 and width % stride == 0
        return stride > 1 and whole and maps.dtype == torch.bfloat16 and maps.device.type == "cpu"


def every(maps: Tensor, stride: int) -> Tensor:
    """Return the maps (B, C, H, W) at every so many positions, their order in memory kept, in the gradient too."""
    thinned: Tensor = _Every.apply(maps, stride)
    return thinned


class _Every(torch.autograd.Function):
    # Indexing has the same gradient, but not in channels_last order: every layer before it would pay.
    @staticmethod
    def forward(ctx: Any, maps: Tensor, stride: int) -> Tensor:
        ctx.stride, ctx.whole = stride, maps.shape
        return maps[:, :, ::stride, ::stride].clone()  # A clone keeps the order of the dimensions.

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        order = torch.channels_last if gradient.stride(1) == 1 else torch.contiguous_format
        whole = torch.empty(ctx.whole, dtype=gradient.dtype, device=gradient.device, memory_format=order)
        whole.zero_()[:, :, :: ctx.stride, :: ctx.stride] = gradient
        return whole, None
