"""The Space: a validated, frozen description of the searched parameters, the fixed values and the run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pdsearch.config import resolve as resolving
from pdsearch.config import serialize
from pdsearch.config.ledger_url import BESIDE
from pdsearch.config.sections import Confirm, Resources
from pdsearch.config.yaml_tree import Scalar
from pdsearch.errors import PdsearchError
from pdsearch.objectives import Aims, Constraint, Objective
from pdsearch.specs import Params


@dataclass(frozen=True)
class Parameter:
    """One searched parameter.

    Args:
        name: Dotted name, e.g. "distill.temperature".
        kind: "categorical", "float" or "int".
        choices: Values of a categorical parameter, scalars; a list is represented by its JSON text (see `lists`).
        low: Smallest value of a range, inclusive.
        high: Largest value of a range, inclusive; a whole number of steps above low.
        log: The range is searched on a logarithmic scale.
        step: Distance between neighbouring values, or None.
        when: Other categorical parameters and the values that make this one active; all must hold.
        lists: Whether the choices are JSON texts of lists.
    """

    name: str
    kind: str
    choices: tuple[Scalar, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    when: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict, hash=False)
    lists: bool = False

    def active(self, values: Mapping[str, object]) -> bool:
        """Return whether the parameter is active, given the values of the parameters before it."""
        return all(name in values and values[name] in allowed for name, allowed in self.when.items())

    def choice(self, value: object) -> Scalar:
        """Return the choice that equals a value; None if there is none. 1 is not true."""
        same = (c for c in self.choices if c == value and isinstance(c, bool) == isinstance(value, bool))
        return next(same, None)


@dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving over epochs, decided by one metric."""

    metric: str
    min_epochs: int
    factor: int


@dataclass(frozen=True)
class Search:
    """How the space is searched; times in seconds, timeout None for no limit; ledger "journal" or a URL."""

    trials: int
    sampler: str
    seed: int
    timeout: int | None
    stop: Halving | None
    max_failures: int
    concurrency: int | None
    trial_timeout: int = 6 * 3600
    ledger: str = BESIDE
    gpu_hours: float | None = None


@dataclass(frozen=True)
class Space:
    """A validated space file.

    Args:
        study: Name of the study.
        fixed: Sorted (dotted name, value) of every field of a trial that is not searched, defaults included.
        parameters: Searched parameters, each after those its `when` names.
        part_defaults: Sorted ("distill.kd" or "prune.taylor", its defaults) pairs of the selectable parts.
        search: How it is searched.
        objectives: At least one.
        constraints: Limits on metrics.
        confirm: Confirmation of the finalists, or None.
        resources: What one trial uses.
        precision: "auto", "fp32", "bf16" or "fp16"; the driver replaces "auto" before it resolves trials.
        storage: Folder of results and artifacts, or s3://bucket/prefix.
        part_laters: The same for parameters added to a part later; at these values they are left out of a trial.
        warnings: Settings that are legal but costly or doubtful, one sentence each.
        notes: Information for the user, e.g. the rounds that geometric ratios amount to.
        places: Where each key is in its file, by its name, as FILE:LINE:COLUMN.
    """

    study: str
    fixed: Params
    parameters: tuple[Parameter, ...]
    part_defaults: tuple[tuple[str, Params], ...]
    search: Search
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    confirm: Confirm | None
    resources: Resources
    precision: str
    storage: str
    part_laters: tuple[tuple[str, Params], ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    places: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def validated(self) -> bool:
        """Whether validation images are split off to compare trials by; if not, all configurations are run."""
        return bool(dict(self.fixed)["data.val_fraction"])

    @property
    def aims(self) -> Aims:
        """The objectives and constraints of the study."""
        return Aims(self.objectives, self.constraints)

    @property
    def compared(self) -> bool:
        """Whether search trials are compared: not without validation images, nor with a single trial that runs once."""
        return self.validated and bool(self.parameters or self.confirm)

    def located(self, reason: str | None) -> str | None:
        """Return the reason of a failure with the place of the key that it begins with, if there is one in a file."""
        key = (reason or "").partition(": ")[0]
        return f"{self.places[key]} key {reason}" if "." in key and key in self.places else reason

    resolve = resolving.resolve
    defaults = resolving.defaults
    unpruned = resolving.unpruned_space
    by_student = resolving.space_by_student
    to_json = serialize.to_json
    identity = serialize.identity


@contextmanager
def positioned(space: Space) -> Iterator[None]:
    """Add file, line and column to an error about a key of a space that only shows once the data are read."""
    try:
        yield
    except PdsearchError as error:
        key = error.where or ""
        if "." not in key or key not in space.places:
            raise
        raise type(error)(error.what, where=f"{space.places[key]} key {key}", hint=error.hint) from error
