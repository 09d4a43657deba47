"""Which optimizer does a recipe name, and what is its learning rate at a step?"""

import math

import torch
from torch import nn
from torch.optim import Optimizer

from pdsearch.errors import ConfigError
from pdsearch.specs import Recipe

__all__ = ["learning_rate", "make_optimizer", "validate"]

CHOICES = {
    "optimizer": ("sgd", "adam", "adamw"),
    "schedule": ("step", "cosine"),
    "select": ("last", "best_val"),
}


def validate(recipe: Recipe) -> None:
    """Refuse a recipe that cannot be followed.

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
    }
    for field, legal in ranges.items():
        if not legal:
            raise ConfigError(f"{getattr(recipe, field)} is out of range", where=f"recipe.{field}")


def make_optimizer(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer over all parameters, as one fused kernel per step."""
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            weights,
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov and recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(weights, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)


def learning_rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step.

    Warm-up grows linearly, step by step, to `lr`. A step schedule then changes between epochs, counted from
    the start of training; a cosine falls step by step from `lr` towards zero over the epochs after warm-up.

    Args:
        recipe: The recipe.
        epoch: From 0.
        step: Within the epoch, from 0.
        steps: Steps of an epoch.
    """
    done = epoch * steps + step
    warmup = recipe.warmup_epochs * steps
    if done < warmup:
        return recipe.lr * (done + 1) / warmup
    if recipe.schedule == "cosine":
        share = (done - warmup) / (recipe.epochs * steps - warmup)
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * share))
    passed = sum(milestone <= epoch for milestone in recipe.milestones)
    return recipe.lr * recipe.gamma**passed
