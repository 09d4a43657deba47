"""Which dense teachers can a space name? And can what is asked of them be done, before anything is trained?"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from pdsearch.jobs import Job
from pdsearch.models import file_hash
from pdsearch.search.describe import Description, absolute
from pdsearch.space import Parameter, Space
from pdsearch.specs import TeacherSpec, TrialSpec
from pdsearch.stages.data import dataset
from pdsearch.stages.first_step import check_answers
from pdsearch.stages.keys import dense_key
from pdsearch.stages.obtain import drain
from pdsearch.stages.site import Site
from pdsearch.stages.teacher import starting_point

__all__ = ["check_outside", "checkpoints", "dense_jobs", "teacher_jobs"]

TEACHER_FIELDS = ("data.", "teacher.", "train.teacher.")
CHECKPOINT = "teacher.checkpoint"


def checkpoints(space: Space) -> dict[str, str]:
    """Return the hash of every checkpoint a space names, by the name it has there.

    Raises:
        ConfigError: A file is missing or cannot be read.
    """
    named = [value for name, value in space.fixed if name == CHECKPOINT]
    named += [choice for p in space.parameters if p.name == CHECKPOINT for choice in p.choices]
    return {str(path): file_hash(absolute(str(path))) for path in named}


def check_outside(space: Space, describe: Description, site: Site) -> None:
    """Fit every teacher that was trained elsewhere into its network and let it answer, where that was not done before.

    Raises:
        ConfigError: A checkpoint is not one, does not fit its network, or answers with what is not finite.
        DataError: A file is broken, or published weights cannot be had.
    """
    for job in teacher_jobs(space, describe):
        if _from_outside(job.spec.teacher) and site.store.find("teacher", job.key) is None:
            teacher, data = job.spec.teacher, drain(dataset(job.spec.data, site))
            where = teacher.checkpoint or "teacher.options.weights"
            check_answers(starting_point(teacher, data).eval(), data, name=teacher.model, where=where)


def _from_outside(teacher: TeacherSpec) -> bool:
    return teacher.checkpoint is not None or "weights" in dict(teacher.options)


def teacher_jobs(space: Space, describe: Description) -> Iterator[Job]:
    """Yield a job for every dense teacher that the space can name; those under a continuous range come when asked."""
    varied = [p for p in space.parameters if p.name.startswith(TEACHER_FIELDS) and p.kind == "categorical"]
    middle = space.defaults()
    choices = product(*(parameter.choices for parameter in varied))
    named = ({**middle, **{p.name: v for p, v in zip(varied, values, strict=True)}} for values in choices)
    return dense_jobs((space.resolve(_chosen(space.parameters, values)) for values in named), describe)


def dense_jobs(specs: Iterable[TrialSpec], describe: Description) -> Iterator[Job]:
    """Yield a job for the dense teacher of every trial, each teacher once."""
    seen: set[str] = set()
    for trial in specs:
        spec = describe.complete(replace(trial, prune=None))
        key = dense_key(spec)
        if key not in seen:
            seen.add(key)
            yield Job(id=f"teacher-{key[:12]}", kind="teacher", spec=spec, key=key)


def _chosen(parameters: tuple[Parameter, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Keep the values of parameters that are active together."""
    kept: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name in values and parameter.active(kept):
            kept[parameter.name] = values[parameter.name]
    return kept
