"""Prunable parameters: the weights of convolutions and linear layers, first and last included; others on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from pdsearch.errors import ConfigError

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
OTHERS = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase, nn.Bilinear, _ConvTransposeNd)
"""Layers whose matrices are prunable where every weight is: attention, recurrent and transposed ones."""

MAKERS = (nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
"""Those whose matrices make heads or hidden units along their first axis, as LAYERS make channels."""

WEIGHTS = ("layers", "matrices")
"""Values of `prune.weights`: LAYERS alone, or OTHERS too."""

_every: ContextVar[bool] = ContextVar("every", default=False)


@contextmanager
def every_weight(on: bool = True) -> Iterator[None]:
    """Within it every matrix of a layer is prunable, not only those of convolutions and linear layers."""
    token = _every.set(on or _every.get())
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
                f"{pattern!r} matches no prunable parameter",
                where="prune.exclude",
                hint=f"there are: {', '.join(found)}",
            )
    kept = {name: p for name, p in found.items() if not any(fnmatchcase(name, e) for e in exclude)}
    if not kept:
        raise ConfigError(
            "nothing is left to prune", hint="the model has no conv or linear layer outside prune.exclude"
        )
    return kept


def check_held(model: nn.Module, exclude: tuple[str, ...] = ()) -> None:
    """Refuse a network with weights to prune that a layer does not hold, but makes at every pass.

    Args:
        model: A network whose weights that torch's own tools make are settled (`with_plain_weights`).
        exclude: As in `prunable`.

    Raises:
        ConfigError: There is such a weight.
    """
    for prefix, module in model.named_modules():
        if isinstance(module, LAYERS) and not {"weight"} & {*module._parameters, *module._buffers}:
            name, own = f"{prefix}.weight".removeprefix("."), [f"{prefix}.{p}" for p in module._parameters]
            if any(fnmatchcase(name, pattern) for pattern in exclude):
                continue
            hook = "a hook before its pass" if module._forward_pre_hooks else "its own code"
            what = f"{name} is no parameter: {hook} makes it anew from {', '.join(own)}, and what is removed comes back"
            hint = "make it by torch.nn.utils.parametrize, which pruning knows; single weights can be pruned around it"
            raise ConfigError(what, where="teacher.model", hint=f"{hint}: prune.exclude: [{name}]")


def shares(model: nn.Module, exclude: tuple[str, ...] = (), *, weights: str = "layers") -> str:
    """Return in words what share of a network's weights is prunable, and what the others are.

    Args:
        model: Any network, also without values, on the meta device.
        exclude: As in `prunable`.
        weights: One of WEIGHTS.

    Raises:
        ConfigError: As in `prunable`.
    """
    sizes = {id(p): p.numel() for p in model.parameters()}
    with every_weight(weights == "matrices"):
        kept, layers = prunable(model, exclude), prunable(model)
    with every_weight():
        matrices = prunable(model)
    total, removable = sum(sizes.values()), _count(kept)
    apart = {
        "in prune.exclude": _count(layers) - removable,
        "in attention, recurrent and transposed layers (prune.weights: matrices)": _count(matrices)
        - _count(layers),
        "in biases, normalisation and others": total - _count(matrices),
    }
    left = ", ".join(f"{_percent(count, total)} {what}" for what, count in apart.items() if count)
    return f"{_percent(removable, total)} of {total:,} weights are prunable" + (
        f"; not {left}" if left else ""
    )


def _count(weights: dict[str, Tensor]) -> int:
    return sum(weight.numel() for weight in weights.values())


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.3g} %"


def _matrices(module: nn.Module) -> dict[str, Tensor]:
    """Return the prunable weights that a layer itself holds."""
    if isinstance(module, LAYERS):
        # A filter that is no parameter, such as a blur, has channels, and no single weights to lose.
        fixed = "weight" in module._buffers and not _every.get()
        return {} if fixed else {"weight": module.weight}
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
            if isinstance(model.get_submodule(name.rpartition(".")[0]), (*LAYERS, *MAKERS))
        }
