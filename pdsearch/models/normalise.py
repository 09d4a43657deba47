"""How is batch normalisation computed? As torch does, or on a CPU in bf16 as one with what follows it.

torch goes through the maps for the statistics, for the normalisation, for the sum around a block and for ReLU, and as
often for the gradients; in bf16 that is a third of the time a CPU takes to train a ResNet-8 (docs/results/speed.md).
"""

import torch
from torch import Tensor, nn

from pdsearch.models.looped import Looped, evaluated, loops

__all__ = ["MOST_THREADS", "normalised"]

LEAST = 2**18
"""Numbers of maps below which starting the loops costs more than they save."""
MOST_THREADS = 2
"""torch shares its own work out among its threads; the loops run on one."""


def normalised(
    norm: nn.Module, maps: Tensor, *, relu: nn.Module | None = None, around: Tensor | None = None
) -> Tensor:
    """Return the maps after batch normalisation, after `around` was added, and after ReLU.

    The loops give torch's numbers but for last bits of statistics and gradients: their sums are more exact.

    Args:
        norm: The layer; anything that is not plain batch normalisation is called as it is.
        maps: (B, C, H, W).
        relu: Called last, if there is one.
        around: Of the shape of what `norm` returns; goes with a `relu`.
    """
    if isinstance(norm, nn.BatchNorm2d) and _pays(norm, maps, relu, around):
        return _by_loops(norm, maps, relu is not None, around)
    changed: Tensor = norm(maps)
    if around is not None:
        changed += around  # In place: the gradients need no sum, and memory is what this costs.
    return changed if relu is None else relu(changed)


def _by_loops(norm: nn.BatchNorm2d, maps: Tensor, active: bool, around: Tensor | None) -> Tensor:
    assert norm.running_mean is not None and norm.running_var is not None
    given = maps, norm.weight, norm.bias, around, active, (norm.running_mean, norm.running_var)
    if not norm.training:
        return evaluated(*given, norm.eps)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    found: Tensor = Looped.apply(*given, norm.momentum, norm.eps)
    return found


def _pays(norm: nn.BatchNorm2d, maps: Tensor, relu: nn.Module | None, around: Tensor | None) -> bool:
    given = [maps] if around is None else [maps, around]
    return (
        # First, for while a graph is taken down nothing may be asked of a size that it leaves open.
        all(_laid_out(tensor) and tensor.shape == maps.shape for tensor in given)
        and maps.numel() >= LEAST
        and torch.get_num_threads() <= MOST_THREADS
        and _plain(norm)
        and (relu is None or (type(relu) is nn.ReLU and not _listened_to(relu)))
        and (norm.training or not torch.is_grad_enabled())
        and loops() is not None
    )


def _laid_out(maps: Tensor) -> bool:
    # Under vmap, or while a graph is taken down, a tensor has no memory of its own.
    real = type(maps) is Tensor and not torch._C._functorch.is_functorch_wrapped_tensor(maps)
    here = real and maps.dtype == torch.bfloat16 and maps.device.type == "cpu"
    return here and maps.is_contiguous(memory_format=torch.channels_last)


def _plain(norm: nn.BatchNorm2d) -> bool:
    known = type(norm) is nn.BatchNorm2d and not _listened_to(norm) and norm.momentum is not None
    return known and norm.affine and norm.track_running_stats and norm.weight.dtype == torch.float32


def _listened_to(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
