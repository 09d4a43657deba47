"""Prunable parameters: the weights of convolutions and linear layers, first and last included."""

from fnmatch import fnmatchcase

from torch import Tensor, nn

from pdsearch.errors import ConfigError

__all__ = ["prunable"]

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


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
        if isinstance(module, LAYERS) and not any(module.weight is p for p in found.values()):
            found[f"{prefix}.weight" if prefix else "weight"] = module.weight
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
