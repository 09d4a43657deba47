"""Weights trained elsewhere, fitted into a network name by name."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.checkpoint_file import StateDicts, read_state_dicts
from pdsearch.models.state_tensors import (
    load_tensors,
    names_and_verb,
    not_finite,
    state_tensors,
    was_not_finite,
)

MOST_NAMES = 10
MOST_NEAR = 3
DEEPEST = 4
"""Leading parts of a name that may be a prefix of the training script's, e.g. `model.` or `module.backbone.`."""


@dataclass(frozen=True)
class _Candidate:
    """Tensors of a file that may be the network's.

    Args:
        key: The keys of dictionaries and the prefix of names that lead to them, joined by dots.
        weights: By the network's names.
        fits: Number of the network's tensors among them, of the right shape.
    """

    key: str
    weights: Mapping[str, Tensor]
    fits: int


def load_checkpoint(
    model: nn.Module, path: str | Path, *, key: str = "", fresh_head: bool = False, classes: int = 0
) -> None:
    """Load the weights of a file into a network, whatever the training script put around them.

    Args:
        model: The network.
        path: See `pdsearch.models.checkpoint_file.read_state_dicts`.
        key: Keys or prefix of the weights, where the file holds several that fit, e.g. "state_dict_ema".
        fresh_head: Leave the last layer as it is.
        classes: Width of the logits; required with `fresh_head`.

    Raises:
        ConfigError: The file cannot be read as weights, they do not fit, or several do and none is named.
        DataError: The file is damaged.
    """
    where = str(path)
    fresh = state_tensors(model)
    found = [*_candidates(model, fresh, read_state_dicts(path))]
    best = _chosen(found, len(_needed(fresh)), key, where)
    weights = dict(best.weights)
    if fresh_head:
        weights |= {name: fresh[name] for name in _head(fresh, weights, classes)}
    fit_weights(model, weights, where=where)


def fit_weights(model: nn.Module, weights: Mapping[str, Tensor], *, where: str) -> None:
    """Load weights into a network; a missing `num_batches_tracked` stays zero.

    Raises:
        ConfigError: Tensors are missing, unexpected or of another shape (the message lists all three), are no real
            numbers, or not finite.
    """
    ours = state_tensors(model)
    missing = [name for name in _needed(ours) if name not in weights]
    unexpected = [name for name in weights if name not in ours]
    shapes = [
        f"{name} {tuple(weights[name].shape)}, not {tuple(tensor.shape)}"
        for name, tensor in ours.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    wrong = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    if any(wrong.values()):
        lines = [f"{len(names)} {kind}: {_listed(names)}" for kind, names in wrong.items() if names]
        near = [f"{name} is near {match[0]}" for name in missing if (match := _near(name, unexpected))]
        lines += [f"names alike: {'; '.join(near[:MOST_NEAR])}"] if near else []
        what = "the checkpoint does not fit the network\n    " + "\n    ".join(lines)
        hint = "check the teacher's model and options, and the data's classes"
        if not (missing or unexpected):
            hint = "check the teacher's options; for other classes `head: fresh` trains a new last layer"
        raise ConfigError(what, where=where, hint=hint)
    unfit = {name: _unfit(weights[name], tensor) for name, tensor in ours.items() if name in weights}
    if odd := [f"{name} is {kind}" for name, kind in unfit.items() if kind]:
        hint = "save the weights of the network before it is quantised or compressed, as numbers of float32 or float16"
        raise ConfigError(
            f"the checkpoint holds other than real numbers: {_listed(odd)}", where=where, hint=hint
        )
    broken = not_finite(weights, but=was_not_finite(model))
    if broken:
        hint = "take one of an earlier epoch: the training that it comes from diverged"
        raise ConfigError(f"{names_and_verb(broken)} not finite in the checkpoint", where=where, hint=hint)
    load_tensors(model, {**ours, **weights})


def _unfit(given: Tensor, ours: Tensor) -> str:
    """Return what keeps a tensor of a file from being copied into one of a network; "" if nothing does."""
    if given.is_quantized:
        return "quantised"
    if given.is_meta:
        return "without values"
    if given.layout != torch.strided:
        return "sparse"
    if (given.is_complex() and not ours.is_complex()) or (
        ours.is_floating_point() and not given.is_floating_point()
    ):
        return str(given.dtype).removeprefix("torch.")
    return ""


def _near(name: str, names: list[str]) -> list[str]:
    return get_close_matches(name, names, n=1, cutoff=0.7)


def _needed(state: Iterable[str]) -> list[str]:
    return [name for name in state if not name.endswith("num_batches_tracked")]


def _candidates(model: nn.Module, state: Mapping[str, Tensor], found: StateDicts) -> Iterator[_Candidate]:
    """Yield what each state dict holds under each prefix that enough of its names share."""
    rename, needed = getattr(model, "own_names", dict), _needed(state)
    for place, weights in found.items():
        for prefix in _prefixes(weights, at_least=len(needed) // 2):
            under = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
            named: Mapping[str, Tensor] = rename(under)
            fits = sum(name in named and named[name].shape == state[name].shape for name in needed)
            yield _Candidate(f"{place}.{prefix}".strip("."), named, fits)


def _prefixes(names: Iterable[str], *, at_least: int) -> list[str]:
    counts = Counter(
        ".".join(parts[:depth]) + "."
        for name in names
        for parts in [name.split(".")]
        for depth in range(1, min(len(parts), DEEPEST + 1))
    )
    return ["", *(prefix for prefix, count in counts.items() if count >= at_least)]


def _chosen(found: list[_Candidate], wanted: int, key: str, where: str) -> _Candidate:
    """Return the tensors that the key names, or else those that fit best; the first of equal ones."""
    best = max(candidate.fits for candidate in found)
    fitting = [candidate for candidate in found if candidate.fits == best]
    if key:
        named = [candidate for candidate in found if candidate.key == key]
        if not named:
            known = ", ".join(candidate.key for candidate in fitting if candidate.key)
            hint = f"those that fit best: {known}" if known else "leave it out"
            raise ConfigError(f"the file has no weights under {key!r}", where=where, hint=hint)
        return max(named, key=lambda candidate: candidate.fits)
    first = fitting[0]
    if best == wanted and any(not _same(first, other) for other in fitting[1:]):
        known = ", ".join(candidate.key or "(none)" for candidate in fitting)
        hint = f"name one, e.g. checkpoint_key: {next(c.key for c in fitting if c.key)}"
        raise ConfigError(f"several weights in the file fit: {known}", where=where, hint=hint)
    return first


def _same(one: _Candidate, other: _Candidate) -> bool:
    shared = one.weights.keys() & other.weights.keys()
    return all(one.weights[name].equal(other.weights[name]) for name in shared)


def _head(state: Mapping[str, Tensor], weights: Mapping[str, Tensor], classes: int) -> list[str]:
    """Return the names of the last layer: what differs in the number of classes, else the last of that many rows."""
    rows = [name for name, tensor in state.items() if tensor.dim() and len(tensor) == classes]
    shared = [name for name in rows if name in weights and weights[name].shape[1:] == state[name].shape[1:]]
    other = [name for name in shared if len(weights[name]) != classes]
    if other or not rows:
        return other
    layer = rows[-1].rpartition(".")[0]
    return [name for name in rows if name.rpartition(".")[0] == layer]


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
