"""What can be removed from a network: followed, tried and compared with zeros in its place, within bounds."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils._python_dispatch import TorchDispatchMode

from pdsearch.errors import ConfigError
from pdsearch.models import copied, count_flops
from pdsearch.models.bounded import BoundError, bounded
from pdsearch.models.compiler import leave_alone
from pdsearch.pruning.channels.axes import REDUCTIONS, name_of, stepwise_attention
from pdsearch.pruning.channels.dependencies import Channels, Tie, follow
from pdsearch.pruning.channels.remove import Kept, channel_mask, removed, shrink
from pdsearch.pruning.gradients import probe
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import every_weight, prunable

TOLERANCE = 1e-6

FEW_FLOPS = 2_000_000_000
"""So many take no longer than a pass of shapes alone, for which torch imports its compiler, 1.5 s in every fork."""

_found: dict[object, Channels] = {}
_FOUND_AT_ONCE = 16


def find_channels(model: nn.Module, image: Tensor, exclude: tuple[str, ...] = ()) -> Channels:
    """Return what can be removed from a network: tried, and the same as with zeros in its place.

    What its code does not follow stays whole, with the reason. Means, sums and other reductions over channels, those of
    layer normalisation and of group normalisation of one group too, are those of the channels that are left.

    Args:
        model: The unpruned network; not changed. Its values are not used.
        image: (1, C, H, W), of any values.
        exclude: Glob patterns of parameter names that stay whole.

    Raises:
        ConfigError: The network cannot be run, nothing can be removed, or finding out takes too much time or memory.
    """
    known = (_described(model), image.shape[1:], exclude)
    if known not in _found:
        here, seen = copied(model).cpu(), image.cpu()
        try:
            found = bounded(lambda: _tried(here, seen, exclude), here)
        except BoundError as error:
            name = type(getattr(model, "trunk", model)).__name__
            what = f"{name}: to find which of its channels can be removed takes more than {error}"
            hint = "use a method that removes single weights, smaller images, or another teacher"
            raise ConfigError(what, where="prune.method", hint=hint) from error
        if len(_found) == _FOUND_AT_ONCE:
            _found.pop(next(iter(_found)))
        _found[known] = found
    return _found[known]


def _described(model: nn.Module) -> tuple[object, ...]:
    """Return what decides how a network computes, but for its values: classes, plain attributes and shapes."""
    modules = [
        (name, type(module), *((key, _plain(value)) for key, value in vars(module).items()))
        for name, module in model.named_modules()
    ]
    tensors = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    first: dict[int, int] = {}
    shapes = [(name, tuple(t.shape), first.setdefault(id(t), len(first))) for name, t in tensors]
    return (*modules, *shapes)


def _plain(value: object) -> object:
    """Return what tells two attributes of modules apart: a function itself, what is written alike, or the kind."""
    if isinstance(value, FunctionType | type):
        return value
    return repr(value) if isinstance(value, bool | int | float | str | tuple | None) else type(value)


def _tried(model: nn.Module, image: Tensor, exclude: tuple[str, ...]) -> Channels:
    """Follow a network, try what was found, and where there is another way to follow what fails, go that one."""
    choices: dict[int, int] = {}
    failed: dict[str, str] = {}
    while True:
        channels = follow(model, image, exclude, choices)
        failed = _failing(model, image, channels)
        other = [
            site
            for site, (ways, ties) in channels.sites.items()
            if choices.get(site, 0) + 1 < ways and (not ties or not failed.keys().isdisjoint(ties))
        ]
        if not other:
            break
        choices |= {site: choices.get(site, 0) + 1 for site in other}
    ties = tuple(tie for tie in channels.ties if tie.name not in failed)
    whole = {**channels.whole, **{tie.name: failed[tie.name] for tie in channels.ties if tie.name in failed}}
    if not ties:
        raise _refused(whole)
    return replace(channels, ties=ties, whole=whole)


def _refused(whole: Mapping[str, str]) -> ConfigError:
    named = [f"{name} ({reason})" for name, reason in whole.items()]
    return ConfigError(
        f"no channel of this network can be removed: {'; '.join(named[:3])}{', ...' if len(named) > 3 else ''}",
        where="prune.method",
        hint="use a method that removes single weights, or another teacher",
    )


def rebuild(model: nn.Module, image: Tensor, *, kept: Kept, exclude: tuple[str, ...] = ()) -> Mask:
    """Shrink an unpruned network in place to the channels of an artifact; return the mask of the unpruned network."""
    channels = find_channels(model, image, exclude)
    with every_weight():
        mask = channel_mask(kept, channels.ties, prunable(model, exclude))
    shrink(model, channels, kept=kept)
    return mask


def _failing(model: nn.Module, image: Tensor, channels: Channels) -> dict[str, str]:
    """Return the ties without some of whose channels the network cannot be run or computes others, and why.

    Which ties keep it from running is found by shapes alone where computing would take longer.
    """
    kept = _some(channels.ties)

    def runs(ties: tuple[Tie, ...]) -> str:
        return _error(copied(twin), image.to(device), channels, {tie.name: kept[tie.name] for tie in ties})

    def same(ties: tuple[Tie, ...]) -> str:
        return difference(model, image, channels, {tie.name: kept[tie.name] for tie in ties})

    found: dict[str, str] = {}
    if _error(probe(model), image, channels, kept):
        device = "meta" if count_flops(model, image.shape[1:]) > FEW_FLOPS else "cpu"
        twin = probe(model).to(device)
        found = {} if runs(()) else _blamed(channels.ties, runs)
    return found | _blamed(tuple(tie for tie in channels.ties if tie.name not in found), same)


def _blamed(ties: tuple[Tie, ...], wrong: Callable[[tuple[Tie, ...]], str]) -> dict[str, str]:
    """Return which ties a fault comes from, halving them until it is one; those that are wrong only together go too."""
    reason = wrong(ties) if ties else ""
    if not reason:
        return {}
    if len(ties) == 1:
        return {ties[0].name: reason}
    half = len(ties) // 2
    found = _blamed(ties[:half], wrong) | _blamed(ties[half:], wrong)
    left = tuple(tie for tie in ties if tie.name not in found)
    return found or dict.fromkeys((tie.name for tie in left), reason)


def _error(model: nn.Module, image: Tensor, channels: Channels, kept: Kept) -> str:
    """Return why a network cannot be run without channels, which are removed in place; empty if it can."""
    try:
        shrink(model, channels, kept=kept)
        with torch.no_grad():
            model(image)
    except Exception as error:  # Its code may raise anything.
        return f"its code does not run with fewer: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return ""


def _some(ties: tuple[Tie, ...]) -> dict[str, tuple[int, ...]]:
    """Return channels of each tie drawn at random, another share of each: halves may be right by chance."""
    random = Generator().manual_seed(2)
    found = {}
    for tie in ties:
        share = 0.3 + 0.5 * float(torch.rand((), generator=random))
        order = torch.randperm(tie.size, generator=random)
        found[tie.name] = tuple(order[: max(1, int(share * tie.size))].sort().values.tolist())
    return found


def difference(model: nn.Module, image: Tensor, channels: Channels, kept: Kept) -> str:
    """Return why a network without channels is not the one with zeros in their place; empty if it is."""
    twin, random = _uneven(model), Generator().manual_seed(0)
    seen = torch.randn((2, *image.shape[1:]), generator=random, dtype=torch.float64).to(image.device)
    lost = removed(kept, channels.ties)
    norms: dict[int, dict[int, Tensor]] = {}
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            for axis in range(parameter.dim()):
                index = torch.tensor(lost.get((name, axis), ()), dtype=torch.int64, device=image.device)
                parameter.index_fill_(axis, index, 0.0)
                if len(index):
                    left = torch.ones(parameter.shape[axis], dtype=torch.bool, device=image.device)
                    norms.setdefault(id(parameter), {})[axis] = (
                        left.index_fill_(0, index, False).nonzero().flatten()
                    )
        with stepwise_attention(), _OfThoseLeft(norms, _left(channels, kept)):
            expected = _answers(twin, seen)
        reason = _error(twin, seen, channels, kept)
        if reason:
            return reason
        found = _answers(twin, seen)
    fits = found.shape == expected.shape and torch.allclose(
        found, expected, rtol=TOLERANCE, atol=TOLERANCE * float(expected.abs().max())
    )
    return "" if fits else "its code tells them apart by their places"


def _answers(model: nn.Module, images: Tensor) -> Tensor:
    outputs = model(images)
    return outputs if isinstance(outputs, Tensor) else torch.zeros(1)


def _left(channels: Channels, kept: Kept) -> dict[tuple[int, int], Tensor]:
    """Return the remaining positions of the axes that operations reduce, where some go."""
    found = {}
    for place, positions in channels.reduced.items():
        left = [
            number
            for number, at in enumerate(positions)
            if at is None or at[0] not in kept or at[1] in kept[at[0]]
        ]
        if len(left) < len(positions):
            found[place] = torch.tensor(left, dtype=torch.int64)
    return found


class _OfThoseLeft(TorchDispatchMode):
    """Normalises and reduces over the channels that are left, as the network without the others does.

    Args:
        left: By the identity of a scale: for each of its axes that lost positions, the remaining ones.
        reduced: The same by the number of a reduction and its axis.
    """

    def __init__(
        self, left: Mapping[int, Mapping[int, Tensor]], reduced: Mapping[tuple[int, int], Tensor]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left, self._reduced, self._reductions = left, reduced, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation; a normalisation on what is left."""
        del types
        name = name_of(func)
        if name == "native_layer_norm" and id(args[2]) in self._left:
            return self._layer(func, args)
        if name == "native_group_norm" and args[6] == 1 and id(args[1]) in self._left:
            return self._group(func, args)
        if name in REDUCTIONS:
            self._reductions += 1
            values = args[0]
            for at in range(values.dim()):
                left = self._reduced.get((self._reductions, at))
                values = values if left is None else values.index_select(at, left.to(values.device))
            args = (values, *args[1:])
        return func(*args, **(kwargs or {}))

    def _layer(self, func: Any, args: Any) -> Any:
        values, shape, weight, bias, eps = args
        inner, full = values, torch.zeros_like(values)
        index: list[Any] = [slice(None)] * values.dim()
        for axis, left in self._left[id(weight)].items():
            at = values.dim() - len(shape) + axis
            inner = inner.index_select(at, left)
            weight, bias = (None if p is None else p.index_select(axis, left) for p in (weight, bias))
            index[at] = left
        full[tuple(index)] = func(inner, weight.shape, weight, bias, eps)[0]
        return (full, *func(*args)[1:])

    def _group(self, func: Any, args: Any) -> Any:
        values, weight, bias, images, _, space, groups, eps = args
        left = self._left[id(weight)][0]
        full = torch.zeros_like(values)
        inner = values.index_select(1, left)
        weight, bias = (p.index_select(0, left) for p in (weight, bias))
        full[:, left] = func(inner, weight, bias, images, len(left), space, groups, eps)[0]
        return (full, *func(*args)[1:])


leave_alone(_OfThoseLeft.__torch_dispatch__)


def _uneven(model: nn.Module) -> nn.Module:
    """Return a double-precision copy in which each channel has an effect: norms and constants are random."""
    twin, random = probe(model).double(), Generator().manual_seed(1)
    norms = {
        id(buffer)
        for module in twin.modules()
        if isinstance(module, _NormBase)
        for buffer in module.buffers()
    }
    for value in (*twin.parameters(), *twin.buffers()):
        if not value.is_floating_point() or not value.numel():
            continue
        constant = isinstance(value, nn.Parameter) and float(value.detach().abs().max()) < 1e-3
        if id(value) in norms or (isinstance(value, nn.Parameter) and (value.dim() == 1 or constant)):
            drawn = torch.rand(value.shape, generator=random, dtype=value.dtype)
            value.data.copy_(0.5 + drawn)
    return twin
