"""Weights trained elsewhere: read without executing code, and loaded name by name."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from pdsearch.errors import ConfigError, DataError
from pdsearch.io.durable import UnfitFileError, check_regular, open_regular
from pdsearch.models.state import listed, load_tensors, not_finite, state_tensors, was_not_finite

__all__ = ["file_hash", "fit_weights", "read_weights"]

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts store the weights in a checkpoint, beside epoch and optimizer."""

PREFIXES = ("_orig_mod.", "module.")
"""Prefixes that torch.compile and DataParallel add to every name."""

MOST_NAMES = 10


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UnfitFileError as error:
        raise ConfigError(error.what, where=str(path), hint="check teacher.checkpoint") from error
    except OSError as error:
        reason = f"the checkpoint cannot be read: {error.strerror}"
        raise ConfigError(reason, where=str(path), hint="check teacher.checkpoint") from error


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file, or from torch's own format (.pth, .pt) with `weights_only`.

    Wrapping dictionaries and name prefixes of common training scripts are removed.

    Raises:
        ConfigError: There is no such file, or it holds something other than a network's weights.
        DataError: The file is damaged.
    """
    where = str(path)
    try:
        check_regular(path)
        content: Any = load_file(path) if Path(path).suffix == ".safetensors" else _load(path)
    except pickle.UnpicklingError as error:
        hint = "save the weights alone: torch.save(model.state_dict(), FILE), or as safetensors"
        raise ConfigError(
            "the file holds more than weights, and no code of a file is run", where=where, hint=hint
        ) from error
    except UnfitFileError as error:
        raise ConfigError(error.what, where=where, hint="check teacher.checkpoint") from error
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", where=where, hint="check teacher.checkpoint") from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"the checkpoint is broken: {reason}", where=where, hint="copy it again") from error
    return _plain(_unwrapped(content), where)


def fit_weights(model: nn.Module, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Load weights into a network; a missing `num_batches_tracked` stays zero.

    Raises:
        ConfigError: Tensors are missing, unexpected or of another shape (the message lists all three), or not finite.
    """
    ours = state_tensors(model)
    needed = {name for name in ours if not name.endswith("num_batches_tracked")}
    shapes = [
        f"{name} {tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in ours.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    wrong = {
        "missing": [name for name in ours if name in needed and name not in weights],
        "unexpected": [name for name in weights if name not in ours],
        "of another shape": shapes,
    }
    if any(wrong.values()):
        lines = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in wrong.items() if names]
        what = "the checkpoint does not fit the network\n    " + "\n    ".join(lines)
        raise ConfigError(
            what, where=where, hint="check the teacher's model and options, and the data's classes"
        )
    broken = not_finite(weights, but=was_not_finite(model))
    if broken:
        hint = "take one of an earlier epoch: the training that it comes from diverged"
        raise ConfigError(f"{listed(broken)} not finite in the checkpoint", where=where, hint=hint)
    load_tensors(model, {**ours, **weights})


def _load(path: str | Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _unwrapped(content: Any) -> Any:
    while isinstance(content, Mapping):
        inner = [content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)]
        if not inner:
            break
        content = inner[0]
    return content


def _plain(content: Any, where: str) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        raise ConfigError("the file holds no state dict", where=where, hint="save model.state_dict()")
    strange = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        what = f"not only tensors in the state dict: {_listed(strange)}"
        raise ConfigError(what, where=where, hint="save model.state_dict() alone")
    weights = {str(name): tensor for name, tensor in content.items()}
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
