"""Can every kind of trial that a space may ask for be begun? Each is tried once, before anything is trained."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pdsearch.search.describe import Description
from pdsearch.space import Parameter, Space
from pdsearch.space.sense import corners
from pdsearch.specs import TrialSpec
from pdsearch.stages.rehearsal import Untrained, rehearse_lesson, rehearse_pruning

__all__ = ["check_trials"]

TEACHER = ("teacher.model", "teacher.options")
PRUNING = (*TEACHER, "prune.method", "prune.params", "prune.exclude", "prune.scope", "prune.at")
LESSON = (*TEACHER, "student.", "distill.", "data.augment")


def check_trials(space: Space, describe: Description, untrained: Untrained) -> None:
    """Try every lesson that a space names (teacher, student and loss), then every pruning of every teacher.

    Args:
        space: What is searched.
        describe: What the study resolved.
        untrained: The networks that were built already, and the data set.

    Raises:
        ConfigError: One of them cannot be done; the message says which part and why.
    """
    for spec in _distinct(space, describe, LESSON):
        rehearse_lesson(spec, untrained)
    for spec in _distinct(space, describe, PRUNING):
        rehearse_pruning(spec, untrained.data)


def _distinct(space: Space, describe: Description, fields: tuple[str, ...]) -> Iterator[TrialSpec]:
    seen: set[TrialSpec] = set()
    for found in corners(space, partial(_decisive, fields)):
        spec = describe.complete(found if fields is PRUNING else replace(found, prune=None))
        if spec not in seen:
            seen.add(spec)
            yield spec


def _decisive(fields: tuple[str, ...], parameter: Parameter) -> bool:
    """A number such as a temperature fits or not whatever it is: its range was checked with the space."""
    return parameter.name.startswith(fields) and parameter.kind != "float"
