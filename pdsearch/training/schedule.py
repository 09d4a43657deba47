"""What is the learning rate at a step? Warm-up, then steps, a cosine or one cycle."""

import math

from pdsearch.specs import Recipe

__all__ = ["learning_rate"]

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
    # A training of a few steps may have none to rise in: it begins at its peak.
    rise = max(rise, 0.0)
    return _between(recipe.lr, start / END, (done - rise) / max(total - 1 - rise, 1.0))


def _between(first: float, last: float, share: float) -> float:
    """Return the value of a half cosine from first (share 0) to last (share 1)."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))
