"""A student sized after a pruned teacher: the same family, each width solved from the remaining weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import signature
from math import prod

from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.registry import build_arguments, models, valueless
from pdsearch.specs import Params

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
        name: The teacher's registered model, which takes widths.
        masks: Boolean masks by parameter name, True = kept. Parameters without a mask are unpruned.
        num_classes: Width of the logits.
        input_shape: Shape of one input: (C, H, W) of an image.
        options: The teacher's own options.

    Returns:
        Options for `build(name, ...)`: the teacher's, with `widths` replaced. Plain JSON values.

    Raises:
        ValueError: A mask belongs to no conv or linear weight of the model, or has another shape.
    """
    growth = _family(name, num_classes, input_shape, options)
    widths = solve(growth, _remaining(masks, growth.before))
    return tuple(sorted({**dict(options), "widths": widths}.items()))


@dataclass(frozen=True)
class Growth:
    """Shapes of a network's weights as a function of its widths: each axis grows linearly with each width.

    Args:
        start: Widths of the whole network.
        before: Shapes of its weights, by name.
        groups: Indices of widths that only change together, in network order.
        slopes: For each group, by weight, the growth of each axis per unit of width; only weights that grow.
        bounded: Whether no width may exceed its start.
    """

    start: Widths
    before: Mapping[str, Shape]
    groups: Sequence[tuple[int, ...]]
    slopes: Sequence[Mapping[str, tuple[float, ...]]]
    bounded: bool = False

    def size(self, layer: str, widths: Widths) -> int:
        """Return the number of weights of a layer."""
        shape = list(map(float, self.before[layer]))
        for members, slopes in zip(self.groups, self.slopes, strict=True):
            for axis, slope in enumerate(slopes.get(layer, ())):
                shape[axis] += slope * (widths[members[0]] - self.start[members[0]])
        return round(prod(shape))

    def total(self, widths: Widths) -> int:
        """Return the number of weights of all layers."""
        return sum(self.size(layer, widths) for layer in self.before)

    def owned(self, owners: Mapping[str, int]) -> list[tuple[tuple[int, ...], list[str]]]:
        """Each group that determines the size of some layers, with their names."""
        pairs = [
            (group, [layer for layer in owners if owners[layer] == n]) for n, group in enumerate(self.groups)
        ]
        return [(group, layers) for group, layers in pairs if layers]

    @cached_property
    def last(self) -> dict[str, int]:
        """For each layer, the last group that its size depends on."""
        return {layer: number for number, slopes in enumerate(self.slopes) for layer in slopes}

    @cached_property
    def owners(self) -> dict[str, int]:
        """`last` without layers with fixed outputs, i.e. the classifier."""
        free = {layer for slopes in self.slopes for layer, slope in slopes.items() if slope[0]}
        return {layer: number for layer, number in self.last.items() if layer in free}


def _family(name: str, num_classes: int, input_shape: Shape, options: Params) -> Growth:
    """Find out, by building it, how a family's layers grow with its widths.

    A residual network whose stem is as wide as its first stage has no projection there; the two stay equal, so that
    the layers remain the same.
    """
    builder = models.get(name)
    sizes = build_arguments(builder, num_classes, input_shape)

    def shapes(widths: Widths) -> dict[str, Shape]:
        network = valueless(partial(builder, **sizes, **{**dict(options), "widths": widths}))
        found = network.named_modules()
        return {f"{prefix}.weight": tuple(m.weight.shape) for prefix, m in found if isinstance(m, LAYERS)}

    start = _start(name, options)
    before, groups, slopes = shapes(start), [], []
    members: tuple[int, ...] = ()
    for index in range(len(start)):
        members = (*members, index)
        grown = _grown(shapes, start, before, members)
        if grown is not None:
            groups.append(members)
            slopes.append(grown)
            members = ()
    if members:
        groups.append(members)
        slopes.append({})
    return Growth(start, before, groups, slopes)


def takes_widths(name: str, options: Params = ()) -> bool:
    """Return whether a model has an option `widths` and a value for it."""
    return bool(_start(name, options))


def _start(name: str, options: Params) -> Widths:
    """Return the teacher's widths; empty for a model without."""
    declared = signature(models.get(name)).parameters.get("widths")
    given = dict(options).get("widths", declared.default if declared else None)
    if declared is None or not isinstance(given, list | tuple):
        return ()
    return tuple(given) if all(isinstance(width, int) for width in given) else ()


def _grown(
    shapes: Callable[[Widths], dict[str, Shape]],
    start: Widths,
    before: Mapping[str, Shape],
    members: tuple[int, ...],
) -> dict[str, tuple[float, ...]] | None:
    """Multiply some widths and return the slopes; None if that always changes the architecture."""
    for factor in (2, 3, 5):  # several factors: one product may coincide with another width
        widths = tuple(factor * w if i in members else w for i, w in enumerate(start))
        try:
            changed = shapes(widths)
        except ConfigError:
            continue
        if changed.keys() == before.keys():
            step = widths[members[0]] - start[members[0]] or 1
            slopes = {
                layer: tuple((b - a) / step for a, b in zip(before[layer], shape, strict=True))
                for layer, shape in changed.items()
            }
            return {layer: slope for layer, slope in slopes.items() if any(slope)}
    return None


def solve(growth: Growth, remaining: Mapping[str, int]) -> Widths:
    """Return the widths at which a network's layers are about as large as the remaining weights.

    It is the first of three solutions within the tolerance, or else the nearest.
    """
    total, missed = sum(remaining.values()), {}
    for way, owners in ((_rounded, growth.owners), (_rounded, growth.last), (_balanced, growth.last)):
        widths = way(growth, remaining, owners)
        missed[widths] = abs(growth.total(widths) - total)
        if missed[widths] <= TOLERANCE * total:
            return widths
    return min(missed, key=lambda widths: missed[widths])


def _rounded(growth: Growth, remaining: Mapping[str, int], owners: Mapping[str, int]) -> Widths:
    """Round each width in turn to the nearest channel (ties to even)."""
    widths = growth.start
    for members, owned in growth.owned(owners):
        target = sum(remaining[layer] for layer in owned)
        (low, small), (_, large) = _bracket(growth, widths, members, owned, target)
        share = (target - small) / (large - small) if large > small else 0.0
        widths = _set(widths, members, max(1, round(low + share)))
    return widths


def _balanced(growth: Growth, remaining: Mapping[str, int], owners: Mapping[str, int]) -> Widths:
    """Beam search of size BEAM over rounding each width up or down; later widths compensate for earlier errors."""
    states = {growth.start: 0}
    for members, owned in growth.owned(owners):
        target, following = sum(remaining[layer] for layer in owned), {}
        for widths, missed in states.items():
            for width, size in _bracket(growth, widths, members, owned, target + missed):
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
    growth: Growth, widths: Widths, members: tuple[int, ...], owned: Sequence[str], target: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two neighbouring widths >= 1 and the sizes of their layers, around the target if possible."""

    def size(width: int) -> int:
        tried = _set(widths, members, width)
        return sum(growth.size(layer, tried) for layer in owned)

    most = growth.start[members[0]]
    if growth.bounded and (most == 1 or size(most) <= target):
        return (most, size(most)), (most, size(most))
    low, high = 1, max(2, most)
    while size(high) <= target:
        low, high = high, 2 * high
    while high - low > 1:  # size(low) <= target < size(high), or low is 1
        guess = low + (target - size(low)) * (high - low) // (size(high) - size(low))
        middle = min(max(guess, low + 1), high - 1)  # one or two steps where sizes are linear
        low, high = (middle, high) if size(middle) <= target else (low, middle)
    return (low, size(low)), (high, size(high))
