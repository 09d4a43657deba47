"""Optimizers and learning-rate schedules of a recipe."""

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pdsearch.errors import ConfigError
from pdsearch.models.compiler import leave_alone
from pdsearch.specs import Recipe

leave_alone(Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict)

CHOICES = {
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("step", "cosine", "one_cycle"),
    "select": ("last", "best_val"),
}


def _step(kind: type[Optimizer]) -> Any:
    """Return an optimizer's step without torch's wrappers for its compiler (which they would import) and for hooks.

    A step of a tiny network takes two milliseconds; a fiftieth of it went into profiler ranges.
    """
    step: Any = torch.no_grad()(inspect.unwrap(kind.step))
    step.hooked = True  # The flag that tells torch not to wrap it.
    return step


class _SGD(torch.optim.SGD):
    """Torch's SGD, corrected for weights whose first gradient comes late, or in a step that a loss scaler skips.

    Its fused kernel initialises the momentum of all weights of a group at once or of none, and leaves the momentum
    buffers uninitialised where that first step is skipped.
    """

    step = _step(torch.optim.SGD)

    def _init_group(self, group: Any, params: Any, grads: Any, momentum_buffer_list: Any) -> bool:
        collect: Any = super()._init_group  # Untyped in torch.
        sparse: bool = collect(group, params, grads, momentum_buffer_list)
        fresh = [momentum is None for momentum in momentum_buffer_list]
        if not any(fresh):
            return sparse
        overflow: Tensor | None = getattr(self, "found_inf", None)  # Set by a loss scaler.
        if overflow is not None and overflow.item():  # Synchronises with the GPU, but in first steps only.
            for found in (params, grads, momentum_buffer_list):
                found.clear()
        elif not all(fresh):
            momentum_buffer_list[:] = [
                torch.zeros_like(grad) if momentum is None else momentum
                for grad, momentum in zip(grads, momentum_buffer_list, strict=True)
            ]
        return sparse


class _Adam(torch.optim.Adam):
    step = _step(torch.optim.Adam)


class _AdamW(torch.optim.AdamW):
    step = _step(torch.optim.AdamW)


def validate(recipe: Recipe) -> None:
    """Check the names and numbers of a recipe.

    Raises:
        ConfigError: A name is unknown or a number out of range.
    """
    for field, known in CHOICES.items():
        if getattr(recipe, field) not in known:
            hint = f"known: {', '.join(known)}"
            raise ConfigError(
                f"unknown {field} {getattr(recipe, field)!r}", where=f"recipe.{field}", hint=hint
            )
    ranges = {
        "epochs": recipe.epochs >= 1,
        "batch_size": recipe.batch_size >= 1,
        "lr": recipe.lr > 0 and math.isfinite(recipe.lr),
        "momentum": 0 <= recipe.momentum < 1,
        "weight_decay": recipe.weight_decay >= 0,
        "warmup_epochs": 0 <= recipe.warmup_epochs < recipe.epochs,
        "label_smoothing": 0 <= recipe.label_smoothing < 1,
        "ema": 0 <= recipe.ema < 1,
        "peak": 0 < recipe.peak < 1,
    }
    for field, legal in ranges.items():
        if not legal:
            raise ConfigError(f"{getattr(recipe, field)} is out of range", where=f"recipe.{field}")
    if recipe.schedule == "one_cycle" and recipe.warmup_epochs:
        hint = "remove it; peak says for how long the rate rises"
        raise ConfigError("a one_cycle schedule warms up by itself", where="recipe.warmup_epochs", hint=hint)


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer over all parameters, with one fused kernel per step.

    Without `decay_norms`, parameters of one dimension (weights and biases of normalisation, biases of layers) form
    a second group that does not decay (Goyal et al., 2017, section 5.3; He et al., 2019, section 3.1).
    """
    groups = _groups(model, recipe)
    if recipe.optimizer == "sgd":
        return _SGD(
            groups,
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov and recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    kind = _Adam if recipe.optimizer == "adam" else _AdamW
    return kind(groups, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.decay_norms:
        return [{"params": weights}]
    parts: dict[bool, list[Tensor]] = {True: [], False: []}
    for parameter in weights:
        parts[parameter.dim() > 1].append(parameter)
    groups: list[dict[str, Any]] = [{"params": parts[True]}, {"params": parts[False], "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


START, END = 25.0, 1e4
"""A one-cycle schedule starts at lr / START and ends at lr / START / END, as torch's OneCycleLR does by default."""


def learning_rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step.

    Warm-up grows linearly, step by step, to `lr`. A step schedule then changes between epochs, counted from
    the start of training; a cosine falls step by step from `lr` towards zero over the epochs after warm-up.
    One cycle rises by a cosine to `lr`, reached after the share `peak` of all steps, and falls by another
    (Smith and Topin, 2019, in the form of torch's OneCycleLR); momentum stays as it is.

    Args:
        recipe: The recipe.
        epoch: From 0.
        step: Within the epoch, from 0.
        steps: Steps of an epoch.
    """
    done = epoch * steps + step
    if recipe.schedule == "one_cycle":
        return _one_cycle(recipe, done, recipe.epochs * steps)
    warmup = recipe.warmup_epochs * steps
    if done < warmup:
        return recipe.lr * (done + 1) / warmup
    if recipe.schedule == "cosine":
        return _between(recipe.lr, 0.0, (done - warmup) / (recipe.epochs * steps - warmup))
    passed = sum(milestone <= epoch for milestone in recipe.milestones)
    return recipe.lr * recipe.gamma**passed


def _one_cycle(recipe: Recipe, done: int, total: int) -> float:
    start = recipe.lr / START
    rise = recipe.peak * total - 1
    if done <= rise and rise > 0:
        return _between(start, recipe.lr, done / rise)
    # With a few steps in all there may be none to rise in: start at the peak.
    rise = max(rise, 0.0)
    return _between(recipe.lr, start / END, (done - rise) / max(total - 1 - rise, 1.0))


def _between(first: float, last: float, share: float) -> float:
    """Return the value of a half cosine from first (share 0) to last (share 1)."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
