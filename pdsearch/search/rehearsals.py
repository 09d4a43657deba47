"""Can every kind of trial that a space may ask for be begun? Each is tried once, before anything is trained."""

from dataclasses import replace
from functools import partial

from pdsearch.data import Dataset
from pdsearch.search.describe import Description
from pdsearch.space import Parameter, Space
from pdsearch.space.sense import corners
from pdsearch.specs import TrialSpec
from pdsearch.stages.rehearsal import rehearse_lesson, rehearse_pruning

__all__ = ["check_trials"]

TEACHER = ("teacher.model", "teacher.options")
PRUNING = (*TEACHER, "prune.method", "prune.params", "prune.exclude", "prune.scope", "prune.at")
LESSON = (*TEACHER, "student.", "distill.", "data.augment")


def check_trials(space: Space, describe: Description, data: Dataset) -> None:
    """Try every pruning of every teacher that a space names, and every lesson: teacher, student and loss.

    Raises:
        ConfigError: One of them cannot be done; the message says which part and why.
    """
    for fields, rehearse in ((PRUNING, rehearse_pruning), (LESSON, rehearse_lesson)):
        seen: set[TrialSpec] = set()
        for found in corners(space, partial(_decisive, fields)):
            spec = describe.complete(found if rehearse is rehearse_pruning else replace(found, prune=None))
            if spec not in seen:
                seen.add(spec)
                rehearse(spec, data)


def _decisive(fields: tuple[str, ...], parameter: Parameter) -> bool:
    """A number such as a temperature fits or not whatever it is: its range was checked with the space."""
    return parameter.name.startswith(fields) and parameter.kind != "float"
