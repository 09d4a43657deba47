"""Removal of channels from a network; its outputs equal those with the channels set to zero."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import FunctionType
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.utils._python_dispatch import TorchDispatchMode

from pdsearch.errors import ConfigError
from pdsearch.models import copied
from pdsearch.pruning.channels.attention import NarrowAttention, as_narrow
from pdsearch.pruning.channels.axes import stepwise_attention
from pdsearch.pruning.channels.dependencies import Channels, Tie, follow
from pdsearch.pruning.gradients import probe
from pdsearch.pruning.mask import Mask
from pdsearch.pruning.prunable import every_weight, prunable

Kept = Mapping[str, tuple[int, ...]]
"""The remaining channels of each tie, by its name: ascending indices in the unpruned network."""

TOLERANCE = 1e-6


_found: dict[Any, Channels] = {}
_FOUND_AT_ONCE = 16


def find_channels(model: nn.Module, image: Tensor, exclude: tuple[str, ...] = ()) -> Channels:
    """Return what can be removed from a network: tried, and the same as with zeros in its place.

    What its code does not follow stays whole, with the reason. A layer normalisation, and a group normalisation of one
    group, compute mean and variance of the channels that are left.

    Args:
        model: The unpruned network; not changed. Its values are not used.
        image: (1, C, H, W), of any values.
        exclude: Glob patterns of parameter names that stay whole.

    Raises:
        ConfigError: The network cannot be run, or nothing can be removed.
    """
    known = (_described(model), image.shape[1:], exclude)
    if known not in _found:
        found = _tried(copied(model).cpu(), image.cpu(), exclude)
        if len(_found) == _FOUND_AT_ONCE:
            _found.pop(next(iter(_found)))
        _found[known] = found
    return _found[known]


def _described(model: nn.Module) -> tuple[Any, ...]:
    """Return what decides how a network computes, but for its values: classes, plain attributes and shapes."""
    modules = [
        (name, type(module), *((key, _plain(value)) for key, value in vars(module).items()))
        for name, module in model.named_modules()
    ]
    tensors = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    first: dict[int, int] = {}
    shapes = [(name, tuple(t.shape), first.setdefault(id(t), len(first))) for name, t in tensors]
    return (*modules, *shapes)


def _plain(value: Any) -> Any:
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


def kept_channels(mask: Mask, ties: tuple[Tie, ...]) -> dict[str, tuple[int, ...]]:
    """Return the channels of each tie that a mask of the unpruned network keeps."""
    found = {}
    for tie in ties:
        part = next(part for part in tie.parts if part.name in mask)
        tensor = mask[part.name].movedim(part.axis, 0).flatten(1).any(dim=1).tolist()
        left = {c for at, c in zip(part.positions, part.channels, strict=True) if tensor[at]}
        found[tie.name] = tuple(sorted(left))
    return found


def channel_mask(kept: Kept, ties: tuple[Tie, ...], weights: Mapping[str, Tensor]) -> Mask:
    """Return a mask of the unpruned network: False for every weight that makes or reads a removed channel.

    Args:
        kept: Remaining channels; ties not in it keep all.
        ties: Ties of the unpruned network.
        weights: Its prunable weights.
    """
    tensors = dict(Mask.full(weights).to_tensors())
    for (name, axis), gone in _gone(kept, ties).items():
        if name in tensors:
            tensors[name].index_fill_(axis, torch.tensor(gone, dtype=torch.int64), False)
    return Mask(tensors)


def _gone(kept: Kept, ties: Iterable[Tie]) -> dict[tuple[str, int], list[int]]:
    """Return the removed positions of each axis."""
    found: dict[tuple[str, int], list[int]] = {}
    for tie in ties:
        left = set(kept.get(tie.name, range(tie.size)))
        for part in tie.parts:
            gone = [at for at, c in zip(part.positions, part.channels, strict=True) if c not in left]
            if gone:
                found.setdefault((part.name, part.axis), []).extend(gone)
    return found


def shrink(model: nn.Module, channels: Channels, *, kept: Kept, before: Kept | None = None) -> None:
    """Remove channels in place from all that makes, normalises or reads them.

    Frozen parameters stay frozen, shared ones shared, and the modes of training and evaluation as they are.

    Args:
        model: The unpruned network, or one reduced to `before`.
        channels: What `find_channels` found in the unpruned network.
        kept: Channels of the unpruned network to keep, some of each tie; ties not in it are unchanged.
        before: The channels the model has; None means all.
    """
    were, goes = _gone(before or {}, channels.ties), _gone({**(before or {}), **kept}, channels.ties)
    values = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    made: dict[int, Tensor] = {}
    for name, tensor in values:
        if id(tensor) not in made:
            smaller = tensor.detach()
            for axis in range(tensor.dim()):
                gone = set(goes.get((name, axis), ()))
                if not gone:
                    continue
                here = [
                    at
                    for at in range(tensor.shape[axis] + len(were.get((name, axis), ())))
                    if at not in set(were.get((name, axis), ()))
                ]
                index = torch.tensor(
                    [place for place, at in enumerate(here) if at not in gone], device=tensor.device
                )
                smaller = smaller.index_select(axis, index)
            made[id(tensor)] = _like(tensor, smaller)
        _put(model, name, made[id(tensor)])
    left = {
        tie.name: set(({**(before or {}), **kept}).get(tie.name, range(tie.size))) for tie in channels.ties
    }
    for length in channels.lengths:
        size = sum(1 for at in length.channels if at is None or at[1] in left.get(at[0], {at[1]}))
        setattr(model.get_submodule(length.module), length.attribute, size)
    for module in model.modules():
        _fit(module)


def _like(tensor: Tensor, smaller: Tensor) -> Tensor:
    if smaller.shape == tensor.shape:
        return tensor
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(smaller, requires_grad=tensor.requires_grad)
    return smaller


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    parent, _, last = name.rpartition(".")
    module = model.get_submodule(parent)
    (module._parameters if last in module._parameters else module._buffers)[last] = tensor  # type: ignore[assignment]


def _fit(module: nn.Module) -> None:
    """Set the sizes that PyTorch's layers hold to those of their weights."""
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, nn.MultiheadAttention):
        values = module.v_proj_weight if module.in_proj_weight is None else module.in_proj_weight.chunk(3)[2]
        whole = module.embed_dim == len(values) == len(module.out_proj.weight)
        if not whole and not isinstance(module, NarrowAttention):
            as_narrow(module)
    if isinstance(module, _NormBase) and module.running_mean is not None:
        module.num_features = len(module.running_mean)
    if not isinstance(weight, Tensor):
        return
    if isinstance(module, _ConvNd):
        made, read = (1, 0) if module.transposed else (0, 1)
        sizes = [weight.shape[0], weight.shape[1] * module.groups]
        module.out_channels, module.in_channels = sizes[made], sizes[read]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, _NormBase):
        module.num_features = len(weight)
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
        module.normalized_shape = tuple(weight.shape)
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = len(weight)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(weight)
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = weight.shape


def rebuild(model: nn.Module, image: Tensor, *, kept: Kept, exclude: tuple[str, ...] = ()) -> Mask:
    """Shrink an unpruned network in place to the channels of an artifact; return the mask of the unpruned network."""
    channels = find_channels(model, image, exclude)
    with every_weight():
        mask = channel_mask(kept, channels.ties, prunable(model, exclude))
    shrink(model, channels, kept=kept)
    return mask


def _failing(model: nn.Module, image: Tensor, channels: Channels) -> dict[str, str]:
    """Return the ties without some of whose channels the network cannot be run or computes others, and why.

    What cannot be run is found by shapes alone, without computing anything, where the network allows that.
    """
    kept = _some(channels.ties)
    shapes = probe(model).to("meta")

    def runs(ties: tuple[Tie, ...]) -> str:
        twin = copied(shapes)
        return _error(twin, image.to("meta"), channels, {tie.name: kept[tie.name] for tie in ties})

    def same(ties: tuple[Tie, ...]) -> str:
        return difference(model, image, channels, {tie.name: kept[tie.name] for tie in ties})

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
    gone = _gone(kept, channels.ties)
    norms: dict[int, dict[int, Tensor]] = {}
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            for axis in range(parameter.dim()):
                index = torch.tensor(gone.get((name, axis), ()), dtype=torch.int64, device=image.device)
                parameter.index_fill_(axis, index, 0.0)
                if len(index):
                    left = torch.ones(parameter.shape[axis], dtype=torch.bool, device=image.device)
                    norms.setdefault(id(parameter), {})[axis] = (
                        left.index_fill_(0, index, False).nonzero().flatten()
                    )
        with stepwise_attention(), _OfThoseLeft(norms):
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


class _OfThoseLeft(TorchDispatchMode):
    """Normalises over the channels that are left, as the network without the others does.

    Args:
        left: By the identity of a scale: for each of its axes that lost positions, the remaining ones.
    """

    def __init__(self, left: Mapping[int, Mapping[int, Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = left

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation; a normalisation on what is left."""
        del types
        name = func._schema.name
        if name == "aten::native_layer_norm" and id(args[2]) in self._left:
            return self._layer(func, args)
        if name == "aten::native_group_norm" and args[6] == 1 and id(args[1]) in self._left:
            return self._group(func, args)
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
