"""Copies of a network, with weights as parameters rather than computed from others, or normalisation folded in."""

import copy
import inspect
import weakref
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from types import FunctionType, MethodType

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook
from torch.nn.utils.weight_norm import WeightNorm

REGISTERED = ("_parameters", "_buffers", "_modules")


def copied(model: nn.Module) -> nn.Module:
    """Return a deep copy; results of earlier passes that it keeps are detached.

    Attributes that cannot be copied, such as locks and open files, are shared with the original.
    """
    try:
        return copy.deepcopy(model, _detached(model))
    except Exception:  # An attribute of the user's own may raise anything.
        memo = _detached(model)
        for module in model.modules():
            for name, value in vars(module).items():
                if name not in REGISTERED and not _copies(value, dict(memo)):
                    memo[id(value)] = value
        return copy.deepcopy(model, memo)


def copied_whole(model: nn.Module) -> nn.Module | None:
    """Return a copy that computes with its own weights alone; None where the copy would still use the original's.

    Functions and weak references are not copied: a hook that holds the network goes on with the original.
    """
    try:
        twin = copy.deepcopy(model, _detached(model))
    except Exception:  # As above.
        return None
    original = {id(part) for part in [*model.modules(), *model.parameters(), *model.buffers()]}
    seen: dict[int, object] = {}  # Holds what it has seen, so that no identity is used twice.
    left: list[object] = [twin]
    while left:
        item = left.pop()
        if id(item) in original:
            return None
        if id(item) not in seen:
            seen[id(item)] = item
            left.extend(_inside(item))
    return twin


def with_plain_weights(model: nn.Module) -> nn.Module:
    """Return the same module, changed in place: weights computed from others become parameters of that value.

    Covers torch's parametrizations, `weight_norm` and `spectral_norm` of both kinds, and layers under
    `torch.nn.utils.prune`. In evaluation mode the network computes the same; what was frozen stays frozen.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()  # A spectral norm in training takes a step of its power iteration whenever it is read.
    for module, _ in modes:
        hooks: list[object] = [*module._forward_pre_hooks.values()]
        for hook in hooks:
            if isinstance(hook, WeightNorm | SpectralNorm):
                _settle(module, hook)
            elif isinstance(hook, prune.BasePruningMethod):
                prune.remove(module, hook._tensor_name)
        if parametrize.is_parametrized(module):
            _settle_parametrized(module)
    for module, mode in modes:
        module.training = mode
    return model


def _settle_parametrized(module: nn.Module) -> None:
    # Copies share the class that torch made for the layer, from which it takes the property of the weight.
    kind = type(module)
    module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
    for name, steps in list(module.parametrizations.items()):  # type: ignore[operator,union-attr]
        weights = [weight.requires_grad for weight in steps.parameters()]
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        value = getattr(module, name)
        if weights and not isinstance(value, nn.Parameter):  # Torch makes a buffer of one that is frozen.
            delattr(module, name)
            module.register_parameter(name, nn.Parameter(value.detach(), requires_grad=any(weights)))


def _settle(module: nn.Module, hook: WeightNorm | SpectralNorm) -> None:
    """Remove the first kind of weight or spectral norm from a layer."""
    source = f"{hook.name}_g" if isinstance(hook, WeightNorm) else f"{hook.name}_orig"
    trained = module.get_parameter(source).requires_grad
    remove = nn.utils.remove_weight_norm if isinstance(hook, WeightNorm) else nn.utils.remove_spectral_norm
    remove(module, hook.name)
    module.get_parameter(hook.name).requires_grad_(trained)
    reading = module._load_state_dict_pre_hooks
    for number, wrapped in list(reading.items()):  # Torch leaves the one that asks for the former parameters.
        if isinstance(getattr(wrapped, "hook", wrapped), SpectralNormLoadStateDictPreHook):
            del reading[number]


def _detached(model: nn.Module) -> dict[int, object]:
    """Return what `deepcopy` takes for tensors that came out of a pass, which it refuses to copy: their values."""
    memo: dict[int, object] = {}
    left = [value for module in model.modules() for value in vars(module).values()]
    while left:
        value = left.pop()
        if isinstance(value, Tensor):
            if value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
        elif isinstance(value, dict | list | tuple):
            left.extend(value.values() if isinstance(value, dict) else value)
    return memo


def _copies(value: object, memo: dict[int, object]) -> bool:
    try:
        copy.deepcopy(value, memo)
    except Exception:  # As above.
        return False
    return True


def _inside(item: object) -> Iterator[object]:
    """Yield what an object holds, as far as copies can differ in it."""
    if isinstance(item, Tensor | type | str | bytes | int | float):
        return
    if isinstance(item, weakref.ref):
        yield item()
    elif isinstance(item, MethodType):
        yield from (item.__self__, item.__func__)
    elif isinstance(item, FunctionType):
        yield from inspect.getclosurevars(item).nonlocals.values()
        yield from (item.__defaults__ or (), item.__kwdefaults__)
    elif isinstance(item, partial):
        yield from (item.func, item.args, item.keywords)
    elif isinstance(item, Mapping):
        yield from item.values()
    elif isinstance(item, list | tuple | set | frozenset):
        yield from item
    else:
        yield from getattr(item, "__dict__", {}).values()


def folded(model: nn.Module) -> nn.Module:
    """Return a copy, in evaluation mode, with batch normalisation folded into the convolutions before it.

    In float32 its outputs and features agree with the network's to about 1e-4 of their size. Only neighbours in an
    `nn.Sequential` are folded, where the order is certain; all others are unchanged. Weights computed from others
    (weight norm, spectral norm) are computed once.
    """
    twin = with_plain_weights(copied(model))
    twin.eval()  # A user's own `train` may return nothing.
    with torch.no_grad():
        for run in [module for module in twin.modules() if type(module) is nn.Sequential]:
            _fold_neighbours(run)
    return twin


def _fold_neighbours(run: nn.Sequential) -> None:
    for number, (first, second) in enumerate(pairwise(list(run))):
        if not isinstance(first, nn.Conv2d) or not isinstance(second, nn.BatchNorm2d):
            continue
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in (first, second))
        if second.track_running_stats and not second.training and not hooked:
            run[number], run[number + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
