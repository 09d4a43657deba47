"""Checks that every network and pruning a space can select is possible."""

from collections.abc import Callable, Iterator
from itertools import islice

from pdsearch.config.catalog import part
from pdsearch.config.checks.draft import Draft
from pdsearch.config.resolve import centre_of, combinations
from pdsearch.config.space import Parameter, Space
from pdsearch.config.yaml_tree import Scalar
from pdsearch.errors import ConfigError
from pdsearch.specs import Params, PruneSpec, TrialSpec

MOST_POINTS = 2_000


def check_sense(draft: Draft, space: Space) -> None:
    """Report every model that does not fit its options, and every method that does not fit the rest of its pruning."""
    _check_networks(draft, space)
    from pdsearch.pruning.registry import refusals  # loads torch

    found = (error for spec in prunings(space) for error in refusals(spec, part("prune.method", spec.method)))
    errors = dict.fromkeys((error.what, error.hint) for error in found)
    draft.complain_of("prune.method", [(what, hint or "choose another method") for what, hint in errors])


def _check_networks(draft: Draft, space: Space) -> None:
    from pdsearch.models.registry import try_options  # loads torch

    for section, model, options in selectable_networks(space):
        try:
            try_options(model, options)
        except ConfigError as error:
            name = f"{section}.{_blamed(error, options)}"
            hint = error.hint or f"`pdsearch list models {model}` says what they mean"
            draft.complain(error.what, name, hint)


def _blamed(error: ConfigError, options: Params) -> str:
    """Return the option that caused an error; all options where several were given and the cause is unknown."""
    named = [f"options.{name}" for name, _ in options]
    if error.where in named:
        return error.where
    return named[0] if len(named) == 1 else "options"


def selectable_networks(space: Space) -> list[tuple[str, str, Params]]:
    """Return the networks with options that a space can select, each once: section, model, options."""
    varied = ("teacher.model", "teacher.options", "student.model", "student.options")
    found: dict[tuple[str, str, Params], None] = {}
    for trial in corners(space, lambda parameter: parameter.name.startswith(varied)):
        found[("teacher", trial.teacher.model, trial.teacher.options)] = None
        found[("student", trial.student.model, trial.student.options)] = None
    return [network for network in found if network[2]]


def prunings(space: Space) -> list[PruneSpec]:
    """Return the prunings a space can select, each once: all choices, the ends of ranges; 2,000 points at most."""
    trials = corners(space, lambda parameter: parameter.name.startswith("prune."))
    return [*dict.fromkeys(trial.prune for trial in trials if trial.prune is not None)]


def corners(space: Space, matters: Callable[[Parameter], bool]) -> Iterator[TrialSpec]:
    """Yield the trials of all choices and range ends of some parameters, the others at their middle.

    Args:
        space: The space.
        matters: Whether a parameter is varied; those named in its `when` are, too. 2,000 points at most.
    """
    varied: set[str] = set()
    for parameter in reversed(space.parameters):
        if matters(parameter) or parameter.name in varied:
            varied |= {parameter.name, *parameter.when}

    def values(parameter: Parameter) -> tuple[Scalar, ...]:
        ends = parameter.choices or (parameter.low, parameter.high)
        return ends if parameter.name in varied else (centre_of(parameter),)

    for point in islice(combinations(space.parameters, values), MOST_POINTS):
        yield space.resolve(point)
