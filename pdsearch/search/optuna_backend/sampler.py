"""The registry of samplers; a new one proposes each point, seeded by the number of points asked before.

A sampler that lived as long as its process would repeat its first points after a restart. Seeded like this, and as it
learns from the study alone, the sequence after a crash is the same as without it (one trial at a time).
"""

import warnings
from collections.abc import Callable
from typing import TypeAlias, cast

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection

from pdsearch.config import Space
from pdsearch.errors import ConfigError
from pdsearch.registry import Registry
from pdsearch.search.optuna_backend.convert import silence, suggest
from pdsearch.user_code import load_part

Sampler: TypeAlias = Callable[[optuna.Study, int], BaseSampler]
"""sampler(study, seed) -> Optuna's sampler of the study's next point; called for every point, with another seed."""


def _own(name: str) -> Sampler:
    found, _ = load_part(name, noun="sampler", called_with="an Optuna study and a seed", arguments=2)
    return cast("Sampler", found)


samplers: Registry[Sampler] = Registry("sampler", "pdsearch.search.optuna_backend.samplers", own=_own)

sampler = samplers.add
"""Register the decorated function as a sampler under a name."""


def made(name: str, study: optuna.Study, *, seed: int) -> BaseSampler:
    """Return the sampler of a study's next point.

    Args:
        name: Registered, or `package.module:function`.
        study: What it learns from.
        seed: Of this point.

    Raises:
        ConfigError: There is no such sampler, or it returns something else.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        found = samplers.get(name)(study, seed)
    if not isinstance(found, BaseSampler):
        what = f"{name} returned {type(found).__name__}, not an Optuna sampler"
        raise ConfigError(what, where="search.sampler", hint="return an object of optuna.samplers")
    return found


def empty_study(space: Space) -> optuna.Study:
    """Return an empty Optuna study of a space's objectives, in memory."""
    silence()
    return optuna.create_study(directions=[StudyDirection[o.goal.upper()] for o in space.objectives])


def check_sampler(space: Space) -> None:
    """Try a space's sampler on an empty study, so that one that cannot sample it is refused before anything runs.

    Raises:
        ConfigError: There is no such sampler, or it raises an error.
    """
    study = empty_study(space)
    try:
        study.sampler = made(space.search.sampler, study, seed=space.search.seed)
        suggest(study.ask(), space.parameters)
    except ConfigError:
        raise
    except Exception as error:  # A sampler of the user's own may raise anything.
        what = f"{space.search.sampler} cannot sample this space: {type(error).__name__}: {error}"
        raise ConfigError(what, where="search.sampler", hint="mend it, or choose tpe or random") from error
