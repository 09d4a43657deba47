"""Prunable parameters: the weights of convolutions and linear layers, first and last included; others on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from pdsearch.errors import ConfigError

__all__ = ["every_weight", "makers", "prunable"]

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
OTHERS = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase, nn.Bilinear, _ConvTransposeNd)
"""Layers whose matrices are prunable where every weight is: attention, recurrent and transposed ones."""

_every: ContextVar[bool] = ContextVar("every", default=False)


@contextmanager
def every_weight() -> Iterator[None]:
    """Within it every matrix of a layer is prunable, not only those of convolutions and linear layers."""
    token = _every.set(True)
    try:
        yield
    finally:
        _every.reset(token)


def prunable(model: nn.Module, exclude: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Return the prunable weights by name, in module order; never biases or normalisation.

    A weight that two layers share appears once, under its first name.

    Args:
        model: Any network.
        exclude: Glob patterns of parameter names to leave out, e.g. ("classifier.*",).

    Raises:
        ConfigError: A pattern matches no prunable parameter, or nothing is left to prune.
    """
    found: dict[str, Tensor] = {}
    for prefix, module in model.named_modules():
        for name, weight in _matrices(module).items():
            if not any(weight is p for p in found.values()):
                found[f"{prefix}.{name}" if prefix else name] = weight
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise ConfigError(
                f"prune.exclude: {pattern!r} matches no prunable parameter",
                hint=f"there are: {', '.join(found)}",
            )
    kept = {name: p for name, p in found.items() if not any(fnmatchcase(name, e) for e in exclude)}
    if not kept:
        raise ConfigError(
            "nothing is left to prune", hint="the model has no conv or linear layer outside prune.exclude"
        )
    return kept


def _matrices(module: nn.Module) -> dict[str, Tensor]:
    """Return the prunable weights that a layer itself holds."""
    if isinstance(module, LAYERS):
        return {"weight": module.weight}
    if _every.get() and isinstance(module, OTHERS):
        return {
            name: p
            for name, p in module.named_parameters(recurse=False)
            if p.dim() > 1 and "bias" not in name
        }
    return {}


def makers(model: nn.Module) -> dict[str, Tensor]:
    """Return the weights whose first axis is what they make, by name: an output channel, or a row of a head's."""
    with every_weight():
        return {
            name: weight
            for name, weight in prunable(model).items()
            if isinstance(model.get_submodule(name.rpartition(".")[0]), (*LAYERS, nn.MultiheadAttention))
        }
