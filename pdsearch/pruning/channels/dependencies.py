"""Channels, heads and widths that can only be removed together, and what of a network stays whole and why."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from pdsearch.errors import ConfigError
from pdsearch.pruning.channels.axes import Axes, Labels, recording
from pdsearch.pruning.channels.operation_rules import label_results, note_reading
from pdsearch.pruning.gradients import probe
from pdsearch.pruning.prunable import makers

SEVERAL = 8
"""Images that show whether a network chooses its layers by them."""


@dataclass(frozen=True)
class Part:
    """The positions of one parameter or buffer, along one axis, that belong to the channels of a tie.

    Args:
        name: Name of the parameter or buffer.
        axis: The axis.
        positions: Positions along the axis, ascending.
        channels: The tie's channel at each position.
    """

    name: str
    axis: int
    positions: tuple[int, ...]
    channels: tuple[int, ...]


@dataclass(frozen=True)
class Tie:
    """A set of channels (or attention heads), each of which can only be removed from all that make or read it.

    Args:
        name: Name of the first weight that makes them.
        size: Number of channels.
        parts: Their positions in parameters and buffers, in module order.
    """

    name: str
    size: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Length:
    """A number that a module holds, and that is the length of an axis.

    Args:
        module: Name of the module.
        attribute: Name of the attribute.
        channels: For each position of the axis its tie and channel; None where the position stays.
    """

    module: str
    attribute: str
    channels: tuple[tuple[str, int] | None, ...]


@dataclass(frozen=True)
class Channels:
    """What can be removed from a network.

    Args:
        ties: The ties, in module order.
        lengths: The numbers that change with them.
        whole: Weights whose outputs stay, by name: the reason.
        sites: Labels' sets of each operation that could be followed otherwise, by its number: (ways, ties).
        reduced: What is taken over the positions that are left (axes.REDUCTIONS): for each axis, by the number of the
            operation among them, the tie and channel of its positions, as in `Length`.
    """

    ties: tuple[Tie, ...]
    lengths: tuple[Length, ...] = ()
    whole: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[int, tuple[int, frozenset[str]]] = field(default_factory=dict)
    reduced: Mapping[tuple[int, int], tuple[tuple[str, int] | None, ...]] = field(default_factory=dict)


def follow(
    model: nn.Module, image: Tensor, exclude: tuple[str, ...] = (), choices: Mapping[int, int] | None = None
) -> Channels:
    """Follow each position of each parameter through one forward pass, without gradients.

    Args:
        model: Any network; not changed.
        image: (1, C, H, W), of any values.
        exclude: Glob patterns of parameter names that stay whole.
        choices: For operations that can be followed in several ways, by their number: which one.

    Raises:
        ConfigError: The network cannot be run.
    """
    twin = probe(model).double()  # Some layers have one kernel for all they do, for single precision.
    axes = Axes(twin, choices or {})
    for name, known in axes.named.items():
        if any(fnmatchcase(name, pattern) for pattern in exclude):
            for labels in known:
                axes.fix(labels, "prune.exclude names it")
    try:
        with recording(twin, axes, label_results):
            seen = image.double()
            axes.fix_input(seen)
            outputs = twin(seen)
    except Exception as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        hint = "use a method that removes single weights, or another teacher"
        if any(weight.dtype in (torch.float16, torch.bfloat16) for weight in model.parameters()):
            hint = f"keep its weights in float32: they are followed in double precision; or {hint}"
        what = f"the channels of this network cannot be followed ({type(error).__name__}: {reason})"
        raise ConfigError(what, where="prune.method", hint=hint) from error
    axes.inside[:] = [""]
    axes.answer([output for output in tree_leaves(outputs) if isinstance(output, Tensor)])
    unread = [name for name, parameter in twin.named_parameters() if id(parameter) not in axes.read]
    for name in unread:
        for labels in axes.named[name]:
            axes.fix(labels, "the forward pass does not read it")
    if unread:
        _refuse_choosing(twin, image, unread)
    return _found(twin, axes)


def _refuse_choosing(model: nn.Module, image: Tensor, unread: list[str]) -> None:
    """Refuse a network that reads for other images what it did not read for this one: it was followed in part only."""
    axes, random = Axes(model, {}), torch.Generator().manual_seed(0)
    images = torch.randn((SEVERAL, *image.shape[1:]), generator=random, dtype=torch.float64)
    with suppress(Exception), recording(model, axes, note_reading):
        model(images.to(image.device))
    for name in unread:
        if id(model.get_parameter(name)) in axes.read:
            what = (
                f"{name} is read for some images and not for others, so that its channels cannot be followed"
            )
            hint = (
                "use a method that removes single weights, or compute every branch and choose by torch.where"
            )
            raise ConfigError(what, where="prune.method", hint=hint)


def _found(model: nn.Module, axes: Axes) -> Channels:
    """Sort the sets of labels that may go into ties: those that lie in the same axes, the first weight naming them."""
    sets, reasons = axes.components()
    weights = makers(model)
    where: dict[int, dict[tuple[str, int], list[int]]] = {}
    for name, known in axes.named.items():
        for axis, labels in enumerate(known):
            for position, number in enumerate(sets[np.maximum(labels, 0)].tolist()):
                if number not in reasons:
                    where.setdefault(number, {}).setdefault((name, axis), []).append(position)
    alike: dict[tuple[str, frozenset[tuple[str, int]]], list[int]] = {}
    first = {name: order for order, name in enumerate(weights)}
    for number, places in where.items():
        made = [name for name, axis in places if axis == 0 and name in first]
        if made:
            alike.setdefault((min(made, key=first.__getitem__), frozenset(places)), []).append(number)
    ties: list[Tie] = []
    at: dict[int, tuple[str, int]] = {}
    order = {name: place for place, name in enumerate(axes.named)}
    taken: dict[str, int] = {}
    for (name, axes_of), numbers in sorted(alike.items(), key=lambda item: first[item[0][0]]):
        if len(numbers) == 1:
            continue  # The only one of its kind cannot go.
        taken[name] = taken.get(name, 0) + 1
        title = name if taken[name] == 1 else f"{name}#{taken[name]}"
        numbers.sort(key=lambda number: where[number][(name, 0)][0])
        at |= {number: (title, channel) for channel, number in enumerate(numbers)}
        parts = []
        for part, axis in sorted(axes_of, key=lambda place: (order[place[0]], -place[1])):
            pairs = sorted((p, c) for c, number in enumerate(numbers) for p in where[number][(part, axis)])
            parts.append(Part(part, axis, tuple(p for p, _ in pairs), tuple(c for _, c in pairs)))
        ties.append(Tie(title, len(numbers), tuple(parts)))
    whole = {
        name: next(
            (reasons[n] for n in numbers if n in reasons),
            "no two of its channels are made and read by the same layers",
        )
        for name in weights
        if not set(numbers := sets[np.maximum(axes.named[name][0], 0)].tolist()) & set(at)
    }
    sites = {
        step: (ways, named)
        for step, (ways, labels) in axes.sites.items()
        # Nothing more goes where the positions that a reduction left loose stay for other reasons.
        if (named := frozenset(at[n][0] for n in sets[labels].tolist() if n in at)) or step not in axes.loose
    }
    reduced = {
        place: tuple(at.get(number) for number in sets[np.maximum(labels, 0)].tolist())
        for place, labels in axes.reduced.items()
    }
    return Channels(tuple(ties), _lengths(model, axes, sets, at), whole, sites, reduced)


def _lengths(
    model: nn.Module, axes: Axes, sets: Labels, at: Mapping[int, tuple[str, int]]
) -> tuple[Length, ...]:
    """Return the integer attributes that hold the length of an axis, by the module whose code used it."""
    found: dict[tuple[str, str], Length] = {}
    for module, size, labels, alone in axes.extents:
        channels = tuple(at.get(n) for n in sets[np.maximum(labels, 0)].tolist())
        if not any(channels):
            continue
        for attribute, value in vars(model.get_submodule(module)).items():
            if type(value) is int and value == size and _holds(attribute, alone):
                found.setdefault((module, attribute), Length(module, attribute, channels))
    return tuple(found.values())


def _holds(attribute: str, alone: bool) -> bool:
    """Whether an attribute is the length of an axis that has its value: by its name, where several axes have it."""
    width = "dim" in attribute
    counts = any(word in attribute for word in ("head", "group", "num"))
    return not (width and "head" in attribute) and (alone or (counts and not width))
