"""Which teachers and pruning rounds will a search use, and how often is each computed? Once, where trials share it."""

from collections.abc import Iterable
from dataclasses import dataclass

from pdsearch.search.chances import DIGITS, Chance
from pdsearch.search.costs import Need, dense, needs
from pdsearch.specs import Params, TrialSpec

__all__ = ["PlannedArtifact", "planned_artifacts"]


@dataclass(frozen=True)
class PlannedArtifact:
    """A dense teacher or a pruning round, as the search will use it.

    Args:
        label: What a person calls it.
        stage: "teacher" or "prune".
        model: Architecture.
        options: Of the architecture.
        epochs: Of its own training.
        built: How often it is expected to be computed: at most 1, unless a continuous parameter keeps it from being
            shared.
        uses: Search trials expected to need it.
        stored: Whether it stays in the storage.
    """

    label: str
    stage: str
    model: str
    options: Params
    epochs: int
    built: float
    uses: float
    stored: bool


@dataclass
class _Use:
    """An artifact, the share of trials that need it, and of those that can share it with no other trial."""

    need: Need
    share: float = 0.0
    alone: float = 0.0
    stored: bool = False


def planned_artifacts(found: Iterable[Chance], trials: int, *, exact: bool) -> tuple[PlannedArtifact, ...]:
    """Return what a search will use: dense teachers, then pruning rounds, as they build on one another.

    Args:
        found: The trials it may run, with their shares.
        trials: How many it runs.
        exact: It runs each of `found` once; otherwise they are drawn at random.
    """
    uses: dict[str, _Use] = {}
    for chance in found:
        for need in _prepared(chance.spec).values():
            uses.setdefault(need.key, _Use(need))
        common = None if chance.twin is None else _prepared(chance.twin)
        for need in needs(chance.spec):
            uses[need.key].share += chance.share
            uses[need.key].stored |= need.stored
            if common is not None and need.key not in common:
                uses[need.key].alone += chance.share
    planned = [_planned(use, trials, exact=exact) for use in uses.values()]
    return tuple(sorted(planned, key=lambda artifact: (artifact.stage != "teacher", artifact.model)))


def _prepared(spec: TrialSpec) -> dict[str, Need]:
    """Return what must be there: the dense teacher too, built before the search whether a trial needs it or not."""
    return {need.key: need for need in (dense(spec), *needs(spec))}


def _planned(use: _Use, trials: int, *, exact: bool) -> PlannedArtifact:
    need = use.need
    if use.alone:
        built = trials * use.alone
    elif exact or need.stage == "teacher":
        built = 1.0
    else:
        built = 1 - (1 - min(1.0, use.share)) ** trials
    return PlannedArtifact(
        label=need.label,
        stage=need.stage,
        model=need.model,
        options=need.options,
        epochs=need.epochs,
        built=round(built, DIGITS),
        uses=round(trials * use.share, DIGITS),
        stored=use.stored or need.stage == "teacher",
    )
