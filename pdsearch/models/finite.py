"""Detection of tensors of a network that hold NaN or an infinity."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

__all__ = ["listed", "not_finite", "state_of", "was_not_finite"]

MOST_NAMES = 3


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a network's parameters and buffers by name, each once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def not_finite(tensors: Mapping[str, Tensor], *, but: Iterable[str] = ()) -> list[str]:
    """Return the names of the tensors that hold NaN or an infinity; synchronises with a GPU once.

    Args:
        tensors: By name, all on one device.
        but: Names to skip.
    """
    numbers = {name: tensor.detach() for name, tensor in tensors.items() if tensor.is_floating_point()}
    for name in but:
        numbers.pop(name, None)
    if not numbers:
        return []
    fine = torch.stack([tensor.isfinite().all() for tensor in numbers.values()]).tolist()
    return [name for name, finite in zip(numbers, fine, strict=True) if not finite]


def was_not_finite(model: nn.Module) -> frozenset[str]:
    """Return the names of buffers that are not finite by design, e.g. an attention mask with -inf."""
    return frozenset(not_finite(dict(model.named_buffers())))


def listed(names: Sequence[str]) -> str:
    """Return the first names, the number of further ones, and the verb: "a and b are"."""
    more = len(names) - MOST_NAMES
    shown = [*names[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])]
    if len(shown) == 1:
        return f"{shown[0]} is"
    return f"{', '.join(shown[:-1])} and {shown[-1]} are"
