"""What of its teachers' weights a space's methods may remove, in words."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from pdsearch.config import Space
from pdsearch.config.checks.feasibility import corners
from pdsearch.models import build_on_meta, with_plain_weights, without_weights
from pdsearch.pruning import find_channels
from pdsearch.pruning.prunable import shares
from pdsearch.pruning.registry import methods
from pdsearch.search.planning.disk import known_images
from pdsearch.specs import TeacherSpec

DECISIVE = ("teacher.model", "teacher.options", "prune.method", "prune.exclude", "prune.weights")
WHOLE_SHOWN = 3


def prunable_lines(
    space: Space, made: Callable[[TeacherSpec], nn.Module], shape: tuple[int, ...] = ()
) -> list[str]:
    """Return a line for each teacher of a space and each set of its weights that methods may remove.

    Args:
        space: What is searched.
        made: Returns a teacher, of any values.
        shape: Of one input, to trace the channels that can be removed; empty where that is not wanted.
    """
    found: dict[tuple[TeacherSpec, tuple[str, ...], str], list[str]] = {}
    for spec in corners(space, lambda parameter: parameter.name.startswith(DECISIVE)):
        prune = spec.prune
        if prune is not None and methods.get(prune.method).removes:
            what = "channels" if methods.get(prune.method).structured else prune.weights
            by = found.setdefault((spec.teacher, prune.exclude, what), [])
            by += [] if prune.method in by else [prune.method]
    lines = []
    for (teacher, exclude, what), by in found.items():
        model = made(teacher)
        said = shares(model, exclude, weights=what if what != "channels" else "matrices")
        lines.append(f"{teacher.model}, {', '.join(by)}: {said}")
        if what == "channels" and shape:
            lines[-1] += f"; {_channels(model, exclude, shape)}"
    return lines


def _channels(model: nn.Module, exclude: tuple[str, ...], shape: tuple[int, ...]) -> str:
    found = find_channels(with_plain_weights(model), torch.zeros(1, *shape), exclude)
    whole = [f"{name} ({reason})" for name, reason in found.whole.items()]
    more = f", and {len(whole) - WHOLE_SHOWN} more" if len(whole) > WHOLE_SHOWN else ""
    kept = f"; whole stay the outputs of {', '.join(whole[:WHOLE_SHOWN])}{more}" if whole else ""
    groups = "1 group" if len(found.ties) == 1 else f"{len(found.ties)} groups"
    return f"{sum(tie.size for tie in found.ties):,} channels in {groups} can go{kept}"


def prunable_lines_unread(space: Space) -> list[str]:
    """Return the lines for a data set of which enough is known without reading it; none for another."""
    images = known_images(space.resolve(space.defaults()).data)
    if images is None:
        return []
    return prunable_lines(space, partial(_blank, images.classes, images.inputs.shape))


def _blank(classes: int, shape: tuple[int, ...], teacher: TeacherSpec) -> nn.Module:
    options = without_weights(teacher.model, teacher.options)
    return build_on_meta(teacher.model, num_classes=classes, input_shape=shape, options=options)
