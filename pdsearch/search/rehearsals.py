"""Can every kind of trial that a space may ask for be begun? Each is tried once, before anything is trained."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pdsearch.data import Dataset
from pdsearch.search.describe import Description
from pdsearch.space import Parameter, Space
from pdsearch.space.sense import corners
from pdsearch.specs import Recipe, TrialSpec
from pdsearch.stages.first_step import smallest
from pdsearch.stages.rehearsal import Untrained, rehearse_lesson, rehearse_pruning

__all__ = ["check_trials"]

TEACHER = ("teacher.model", "teacher.options")
PRUNING = (
    *TEACHER,
    "train.recover.batch_size",
    "prune.method",
    "prune.params",
    "prune.exclude",
    "prune.scope",
    "prune.at",
)
LESSON = (
    *TEACHER,
    "train.teacher.batch_size",
    "train.distill.batch_size",
    "student.",
    "distill.",
    "data.augment",
)


def check_trials(space: Space, describe: Description, untrained: Untrained) -> None:
    """Try every lesson that a space names (teacher, student and loss), then every pruning of every teacher.

    Args:
        space: What is searched.
        describe: What the study resolved.
        untrained: The networks that were built already, and the data set.

    Raises:
        ConfigError: One of them cannot be done; the message says which part and why.
    """
    for spec in _distinct(space, describe, LESSON, untrained.data):
        rehearse_lesson(spec, untrained)
    for spec in _distinct(space, describe, PRUNING, untrained.data):
        rehearse_pruning(spec, untrained.data)


def _distinct(
    space: Space, describe: Description, fields: tuple[str, ...], data: Dataset
) -> Iterator[TrialSpec]:
    seen: set[TrialSpec] = set()
    for found in corners(space, partial(_decisive, fields)):
        named = describe.complete(found if fields is PRUNING else replace(found, prune=None))
        spec = _in_small(named, data)
        if spec not in seen:
            seen.add(spec)
            yield spec


def _in_small(spec: TrialSpec, data: Dataset) -> TrialSpec:
    """Return a trial with the batches that it is tried with: most sizes make no difference."""

    def small(recipe: Recipe) -> Recipe:
        return replace(recipe, batch_size=smallest(recipe, data))

    teacher = replace(spec.teacher, recipe=small(spec.teacher.recipe))
    prune = spec.prune and replace(spec.prune, recipe=small(spec.prune.recipe))
    distill = replace(spec.distill, recipe=small(spec.distill.recipe))
    return replace(spec, teacher=teacher, prune=prune, distill=distill)


def _decisive(fields: tuple[str, ...], parameter: Parameter) -> bool:
    """A number such as a temperature fits or not whatever it is: its range was checked with the space."""
    return parameter.name.startswith(fields) and parameter.kind != "float"
