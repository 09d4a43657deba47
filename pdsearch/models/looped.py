"""What are batch normalisation, the sum around a block and ReLU as one operation? Loops, and their gradient."""

from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pdsearch.models.rows import Row, as_row, as_rows, by_channel, widened, zeros

__all__ = ["Looped", "evaluated", "loops"]


@cache
def loops() -> ModuleType | None:
    """Return the loops, compiled by the first call in about 3 s; None where numba is not installed or does not load."""
    try:
        from pdsearch.models import loops as compiled
    except ImportError:
        return None
    return compiled


class Moments(NamedTuple):
    """What batch normalisation takes from the maps or from its running statistics.

    Attributes:
        mean: By channel, (C,).
        deviation: Likewise, the square root of variance and epsilon.
    """

    mean: Row
    deviation: Row


class Looped(torch.autograd.Function):
    """Normalisation by the maps' own moments; arguments as of `forward`, the gradients of the first four are given."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Tensor,
        weight: Tensor,
        bias: Tensor,
        around: Tensor | None,
        active: bool,
        running: tuple[Tensor, Tensor],
        momentum: float,
        eps: float,
    ) -> Tensor:
        """Return the maps normalised, plus `around` where there is one, and ReLU of that where active.

        Args:
            ctx: Keeps what the gradient needs.
            maps: bfloat16 (B, C, H, W), in channels_last order.
            weight: float32 (C,).
            bias: float32 (C,).
            around: Like maps; goes with active.
            active: Whether ReLU comes last.
            running: Mean and variance; they follow the maps' own.
            momentum: How far.
            eps: Added to the variance.
        """
        moments = _moments(maps, running, momentum, eps)
        found = _normalised(maps, weight, bias, moments, around, active)
        ctx.save_for_backward(maps, weight, bias, found if active else None)
        ctx.moments, ctx.eps, ctx.added = moments, eps, around is not None
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of maps, weight, bias and around."""
        maps, weight, bias, result = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        if torch.is_grad_enabled():  # To be differentiated again: torch's own operations can be.
            gradient = gradient if result is None else gradient * (result != 0)
            again = functional.batch_norm(maps, None, None, weight, bias, training=True, eps=ctx.eps)
            three = torch.autograd.grad(again, (maps, weight, bias), gradient, create_graph=True)
        else:
            if ctx.added:  # What was led around has the gradient of the sum.
                gradient, result = _passed(gradient, result), None
            three = _gradients(gradient, result, maps, weight, ctx.moments)
        return (*three, gradient if ctx.added else None, None, None, None, None)


def evaluated(
    maps: Tensor,
    weight: Tensor,
    bias: Tensor,
    around: Tensor | None,
    active: bool,
    running: tuple[Tensor, Tensor],
    eps: float,
) -> Tensor:
    """Return the maps normalised by the running moments; arguments as of `Looped.forward`, no gradients."""
    mean, var = map(as_row, running)
    return _normalised(maps, weight, bias, Moments(mean, np.sqrt(var + eps)), around, active)


def _moments(maps: Tensor, running: tuple[Tensor, Tensor], momentum: float, eps: float) -> Moments:
    mean, var = map(as_row, running)
    sums, squares = zeros(maps)
    _loops().moments(as_rows(maps), widened(mean, sums), sums, squares)
    count = maps.numel() // len(mean)
    off = by_channel(sums, len(mean)) / count
    now = mean + off
    spread = np.maximum(by_channel(squares, len(mean)) / count - off * off, 0)
    mean += momentum * (now - mean)
    var += momentum * (spread * (count / max(1, count - 1)) - var)
    return Moments(now.astype(np.float32), np.sqrt(spread + eps).astype(np.float32))


def _normalised(
    maps: Tensor, weight: Tensor, bias: Tensor, moments: Moments, around: Tensor | None, active: bool
) -> Tensor:
    found, seen = torch.empty_like(maps), as_rows(maps)
    factor = as_row(weight) / moments.deviation
    offset = as_row(bias) - moments.mean * factor
    added = seen[:0] if around is None else as_rows(around)
    _loops().normalised(seen, widened(factor, seen), widened(offset, seen), added, active, as_rows(found))
    return found


def _gradients(
    gradient: Tensor, result: Tensor | None, maps: Tensor, weight: Tensor, moments: Moments
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of maps, weight and bias (Ioffe and Szegedy, arXiv 1502.03167, section 3)."""
    seen, given, found = as_rows(maps), as_rows(gradient), torch.empty_like(maps)
    active = seen[:0] if result is None else as_rows(result)
    sums, products = zeros(maps)
    _loops().gradient_sums(given, active, seen, widened(moments.mean, sums), sums, products)
    channels, factor = len(weight), as_row(weight) / moments.deviation
    of_bias, of_weight = by_channel(sums, channels), by_channel(products, channels) / moments.deviation
    each = factor * channels / maps.numel()
    by_maps = -each * of_weight / moments.deviation
    offset = -each * of_bias - by_maps * moments.mean
    factors = [widened(row, sums) for row in (factor, by_maps, offset)]
    _loops().gradients(given, active, seen, *factors, as_rows(found))
    both = [torch.from_numpy(row.astype(np.float32)) for row in (of_weight, of_bias)]
    return found, both[0], both[1]


def _passed(gradient: Tensor, result: Tensor) -> Tensor:
    found = torch.empty_like(result)
    _loops().passed(as_rows(gradient), as_rows(result), as_rows(found))
    return found


def _loops() -> ModuleType:
    found = loops()
    assert found is not None
    return found
