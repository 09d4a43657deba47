"""A student sized after a pruned teacher: the same family, each width solved from the remaining weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature
from math import prod

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.registry import build_arguments, models
from pdsearch.specs import Params

__all__ = ["plan_from_masks"]

Shape = tuple[int, ...]
Widths = tuple[int, ...]
TOLERANCE = 0.01
BEAM = 16
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def plan_from_masks(
    name: str,
    masks: Mapping[str, Tensor],
    *,
    num_classes: int,
    input_shape: tuple[int, ...],
    options: Params = (),
) -> Params:
    """Return the options of a student as large, layer by layer, as the remaining weights of a pruned teacher.

    A layer's channels are round(remaining weights / (k^2 * input channels of the student so far)). Where
    several layers share one width (a residual stage), the width is solved for so that their weights sum to
    the remaining ones. Never below one channel; a width may exceed the teacher's. The classifier's size
    follows from the width before it. Where that would miss the teacher's remaining weights by more than 1 %
    in all (a classifier that is a large share, a layer left with few channels), the last width is solved for
    with the classifier, and if that is not enough, widths are rounded up or down so that each compensates
    for the error of those before it.

    It works for every family that takes `widths`: its free widths in network order, each with a default.
    Which layers depend on a width, and how, is found by building the family a few times without memory (on
    the meta device).

    Args:
        name: The teacher's registered model.
        masks: Boolean masks by parameter name, True = kept. Parameters without a mask are unpruned.
        num_classes: Width of the logits.
        input_shape: Shape of one input: (C, H, W) of an image.
        options: The teacher's own options.

    Returns:
        Options for `build(name, ...)`: the teacher's, with `widths` replaced. Plain JSON values.

    Raises:
        ConfigError: The family takes no widths.
        ValueError: A mask belongs to no conv or linear weight of the model, or has another shape.
    """
    family = _Family(name, num_classes, input_shape, options)
    remaining = _remaining(masks, family.before)
    return tuple(sorted({**dict(options), "widths": _best(family, remaining)}.items()))


@dataclass(frozen=True)
class _Family:
    """The shapes of a model's layers as a function of its widths."""

    name: str
    num_classes: int
    input_shape: Shape
    options: Params

    @cached_property
    def start(self) -> Widths:
        """The teacher's widths."""
        declared = signature(models.get(self.name)).parameters.get("widths")
        given = dict(self.options).get("widths", declared.default if declared else None)
        if declared is None or given is Parameter.empty or not isinstance(given, Sequence):
            hint = "name a student's model, or a teacher whose family takes widths"
            raise ConfigError(
                f"no student can be shaped from {self.name!r}", where="student.model", hint=hint
            )
        return tuple(given)

    def shapes(self, widths: Widths) -> dict[str, Shape]:
        """Shapes of all conv and linear weights, by name."""
        builder = models.get(self.name)
        sizes = build_arguments(builder, self.num_classes, self.input_shape)
        with torch.device("meta"):
            network = builder(**sizes, **{**dict(self.options), "widths": widths})
        found = network.named_modules()
        return {f"{prefix}.weight": tuple(m.weight.shape) for prefix, m in found if isinstance(m, LAYERS)}

    def size(self, layer: str, widths: Widths) -> int:
        """Number of weights of a layer, computed from the slopes without building a network."""
        shape = list(map(float, self.before[layer]))
        for members, slopes in zip(self.groups, self.slopes, strict=True):
            for axis, slope in enumerate(slopes.get(layer, ())):
                shape[axis] += slope * (widths[members[0]] - self.start[members[0]])
        return round(prod(shape))

    @cached_property
    def before(self) -> dict[str, Shape]:
        """The teacher's shapes."""
        return self.shapes(self.start)

    @cached_property
    def groups(self) -> list[tuple[int, ...]]:
        """Indices of widths that only change together, in network order.

        A residual network whose stem is as wide as its first stage has no projection there; the two stay equal,
        so that the layers remain the same.
        """
        found: list[tuple[int, ...]] = []
        open_group: tuple[int, ...] = ()
        for index in range(len(self.start)):
            open_group = (*open_group, index)
            if self._changed(open_group) is not None:
                found.append(open_group)
                open_group = ()
        return [*found, open_group] if open_group else found

    def owned(self, owners: Mapping[str, int]) -> list[tuple[tuple[int, ...], list[str]]]:
        """Each group that determines the size of some layers, with their names."""
        pairs = [
            (group, [layer for layer in owners if owners[layer] == n]) for n, group in enumerate(self.groups)
        ]
        return [(group, layers) for group, layers in pairs if layers]

    @cached_property
    def slopes(self) -> list[dict[str, tuple[float, ...]]]:
        """For each group, the growth of each axis of a layer per unit of width; only layers that grow."""
        found = []
        for members in self.groups:
            widths, shapes = self._changed(members) or (self.start, self.before)
            step = widths[members[0]] - self.start[members[0]] or 1
            grown = {
                layer: tuple((b - a) / step for a, b in zip(self.before[layer], shape, strict=True))
                for layer, shape in shapes.items()
            }
            found.append({layer: slopes for layer, slopes in grown.items() if any(slopes)})
        return found

    @cached_property
    def last(self) -> dict[str, int]:
        """For each layer, the last group that its size depends on."""
        return {layer: number for number, slopes in enumerate(self.slopes) for layer in slopes}

    @cached_property
    def owners(self) -> dict[str, int]:
        """`last` without layers with fixed outputs, i.e. the classifier."""
        free = {layer for slopes in self.slopes for layer, slope in slopes.items() if slope[0]}
        return {layer: number for layer, number in self.last.items() if layer in free}

    def _changed(self, members: tuple[int, ...]) -> tuple[Widths, dict[str, Shape]] | None:
        """Multiply some widths and return them with the new shapes; None if that always changes the architecture."""
        for factor in (2, 3, 5):  # several factors: one product may coincide with another width
            widths = tuple(factor * w if i in members else w for i, w in enumerate(self.start))
            try:
                shapes = self.shapes(widths)
            except ConfigError:
                continue
            if shapes.keys() == self.before.keys():
                return widths, shapes
        return None


def _best(family: _Family, remaining: Mapping[str, int]) -> Widths:
    """The first of three solutions within the tolerance, or else the nearest."""
    total, missed = sum(remaining.values()), {}
    for way, owners in ((_rounded, family.owners), (_rounded, family.last), (_balanced, family.last)):
        widths = way(family, remaining, owners)
        missed[widths] = abs(sum(map(prod, family.shapes(widths).values())) - total)
        if missed[widths] <= TOLERANCE * total:
            return widths
    return min(missed, key=lambda widths: missed[widths])


def _rounded(family: _Family, remaining: Mapping[str, int], owners: Mapping[str, int]) -> Widths:
    """Round each width in turn to the nearest channel (ties to even)."""
    widths = family.start
    for members, owned in family.owned(owners):
        target = sum(remaining[layer] for layer in owned)
        (low, small), (_, large) = _bracket(family, widths, members, owned, target)
        widths = _set(widths, members, max(1, round(low + (target - small) / (large - small))))
    return widths


def _balanced(family: _Family, remaining: Mapping[str, int], owners: Mapping[str, int]) -> Widths:
    """Beam search of size BEAM over rounding each width up or down; later widths compensate for earlier errors."""
    states = {family.start: 0}
    for members, owned in family.owned(owners):
        target, following = sum(remaining[layer] for layer in owned), {}
        for widths, missed in states.items():
            for width, size in _bracket(family, widths, members, owned, target + missed):
                following[_set(widths, members, width)] = target + missed - size
        states = dict(sorted(following.items(), key=lambda state: abs(state[1]))[:BEAM])
    return next(iter(states))


def _set(widths: Widths, members: Sequence[int], width: int) -> Widths:
    return tuple(width if index in members else w for index, w in enumerate(widths))


def _remaining(masks: Mapping[str, Tensor], shapes: Mapping[str, Shape]) -> dict[str, int]:
    for name, mask in masks.items():
        if name not in shapes or tuple(mask.shape) != shapes[name]:
            raise ValueError(f"the model has no weight {name!r} of shape {tuple(mask.shape)}")
    return {name: int(masks[name].sum()) if name in masks else prod(shape) for name, shape in shapes.items()}


def _bracket(
    family: _Family, widths: Widths, members: tuple[int, ...], owned: Sequence[str], target: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two neighbouring widths >= 1 and the sizes of their layers, around the target if possible."""

    def size(width: int) -> int:
        tried = _set(widths, members, width)
        return sum(family.size(layer, tried) for layer in owned)

    low, high = 1, max(2, family.start[members[0]])
    while size(high) <= target:
        low, high = high, 2 * high
    while high - low > 1:  # size(low) <= target < size(high), or low is 1
        guess = low + (target - size(low)) * (high - low) // (size(high) - size(low))
        middle = min(max(guess, low + 1), high - 1)  # one or two steps where sizes are linear
        low, high = (middle, high) if size(middle) <= target else (low, middle)
    return (low, size(low)), (high, size(high))
