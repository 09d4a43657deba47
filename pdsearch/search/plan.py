"""What will a study cost? Trainings and epochs, with every artifact computed once, and with none shared."""

import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from pdsearch.search.chances import DIGITS, Chance, chances, trials_of
from pdsearch.search.confirm import configurations, everyone
from pdsearch.search.confirmations import confirmations
from pdsearch.search.costs import dense, needs, teacher_epochs
from pdsearch.search.describe import Description
from pdsearch.search.reuse import PlannedArtifact, planned_artifacts
from pdsearch.space import Confirm, Space
from pdsearch.space.catalog import FROM_TEACHER
from pdsearch.space.points import points_of
from pdsearch.specs import TrialSpec
from pdsearch.stages.keys import needs_teacher, teacher_config

__all__ = ["Phase", "Plan", "plan"]


@dataclass(frozen=True)
class Phase:
    """A part of a study: its students, and its epochs (teachers, rounds and students) without and with reuse."""

    name: str
    students: float
    without_reuse: float
    with_reuse: float


@dataclass(frozen=True)
class Plan:
    """What a study will cost; nothing is stopped early.

    Args:
        study: Its name.
        trials: Search trials; 0 where every configuration is confirmed at once.
        exact: Every trial of the space is run, so that nothing depends on what is drawn. Otherwise the figures are
            expected values for trials drawn at random.
        artifacts: Dense teachers, then pruning rounds, in the order in which they build on one another.
        phases: Search, baselines, comparison, confirmation.
    """

    study: str
    trials: int
    exact: bool
    artifacts: tuple[PlannedArtifact, ...]
    phases: tuple[Phase, ...]

    @property
    def without_reuse(self) -> float:
        """Epochs if every trial trained all it needs."""
        return sum(phase.without_reuse for phase in self.phases)

    @property
    def with_reuse(self) -> float:
        """Epochs with every artifact computed once."""
        return sum(phase.with_reuse for phase in self.phases)

    def count(self, stage: str) -> float:
        """Return how many artifacts of a stage are expected to be computed."""
        return sum(artifact.built for artifact in self.artifacts if artifact.stage == stage)


def plan(space: Space) -> Plan:
    """Return what a study of a space will cost, in epochs.

    Exact where the search visits every trial of the space; expected values for random sampling otherwise.
    Confirmation is an upper bound: finalists that are one configuration share their baselines.
    """
    found, trials, exact = trials_of(space)
    artifacts = planned_artifacts(found, trials, exact=exact)
    if not space.validated and space.confirm is not None:
        return Plan(space.study, 0, True, artifacts, (_all_confirmed(space, space.confirm),))
    phases = [_search(found, trials, artifacts)]
    if space.compared:
        phases += [_alone(space), _comparison(space, found, trials), _confirmation(space, found, artifacts)]
    shown = tuple(_rounded(phase) for phase in phases if phase.students)
    return Plan(space.study, trials, exact, artifacts, shown)


def _search(found: list[Chance], trials: int, artifacts: tuple[PlannedArtifact, ...]) -> Phase:
    students = trials * _mean(found, _student_epochs)
    teachers = trials * _mean(found, teacher_epochs)
    reused = sum(artifact.built * artifact.epochs for artifact in artifacts)
    return Phase("search", trials, teachers + students, reused + students)


def _alone(space: Space) -> Phase:
    """The student alone, once; one that is shaped by its teacher has none."""
    spec = space.resolve(space.defaults())
    jobs = 0 if spec.student.model == FROM_TEACHER else 1
    epochs = jobs * _student_epochs(spec)
    return Phase("student alone", jobs, epochs, epochs)


def _comparison(space: Space, found: list[Chance], trials: int) -> Phase:
    """The unpruned teacher's own trials, until it had as many as the median teacher."""
    counts: dict[str, float] = defaultdict(float)
    dense_share = 0.0
    for chance in found:
        if needs_teacher(chance.spec):
            counts[teacher_config(chance.spec)] += trials * chance.share
            dense_share += chance.share * (chance.spec.prune is None)
    median = statistics.median_high(counts.values()) if counts else 0
    jobs = max(0, round(median) - round(trials * dense_share))
    own = space.unpruned()
    points = points_of(own.parameters, limit=max(1, jobs))
    jobs = jobs if points is None else min(jobs, len(points))
    unpruned = chances(own)
    students = jobs * _mean(unpruned, _student_epochs)
    return Phase("comparison", jobs, students + jobs * _mean(unpruned, _dense_epochs), students)


def _confirmation(space: Space, found: list[Chance], artifacts: tuple[PlannedArtifact, ...]) -> Phase:
    """The finalists with fresh seeds, each with the unpruned teacher and with the student alone.

    Further teachers take at most what all artifacts of the search take, once for each of their seeds.
    """
    if space.confirm is None:
        return Phase("confirmation", 0, 0, 0)
    pruned = [chance for chance in found if chance.spec.prune is not None and needs_teacher(chance.spec)]
    leaders = min(space.confirm.teachers, len({teacher_config(chance.spec) for chance in pruned}))
    sources = {teacher_config(replace(chance.spec, prune=None)) for chance in found}
    # The one that taught best, what the leaders were pruned from, and as many as are lacking.
    own_best = max(1, min(len(sources), leaders + max(1, space.confirm.teachers - leaders)))
    shaped = any(chance.spec.student.model == FROM_TEACHER for chance in found)
    trained_alike = not any(p.name.startswith(("train.distill.", "student.")) for p in space.parameters)
    taught_alike = trained_alike and not any(p.name.startswith("distill.") for p in space.parameters)
    unpruned = (leaders + own_best) if shaped else 0 if taught_alike else leaders
    alone = 1 if trained_alike and not shaped else leaders + own_best
    taught, times = leaders + own_best + unpruned, space.confirm.teacher_seeds
    students = space.confirm.seeds * (times * taught + alone)
    trained = _mean(found, _student_epochs) * students
    chains, dense_nets = leaders * _mean(pruned, teacher_epochs), _mean(found, _dense_epochs)
    teachers = space.confirm.seeds * times * (chains + (own_best + unpruned) * dense_nets)
    further = (times - 1) * min(chains + own_best * dense_nets, sum(a.epochs for a in artifacts))
    return Phase("confirmation", students, trained + teachers, trained + further)


def _all_confirmed(space: Space, confirm: Confirm) -> Phase:
    """Every configuration with its baselines and fresh seeds: nothing is searched where nothing is validated."""
    jobs = confirmations(
        everyone(configurations(space)),
        seeds=confirm.seeds,
        teacher_seeds=confirm.teacher_seeds,
        describe=Description(
            "", space.precision, versions={}
        ),  # Whatever the images are, the jobs are the same.
    )
    specs = [job.spec for job in jobs]
    students = sum(map(_student_epochs, specs))
    built = {need.key: need.epochs for spec in specs for need in needs(spec)}
    built |= {need.key: need.epochs for need in map(dense, specs)}
    return Phase(
        "confirmation", len(specs), sum(map(teacher_epochs, specs)) + students, sum(built.values()) + students
    )


def _rounded(phase: Phase) -> Phase:
    without, reused = round(phase.without_reuse, DIGITS), round(phase.with_reuse, DIGITS)
    return Phase(phase.name, phase.students, without, reused)


def _mean(found: list[Chance], epochs: Callable[[TrialSpec], int]) -> float:
    total = sum(chance.share for chance in found)
    return sum(chance.share * epochs(chance.spec) for chance in found) / total if total else 0.0


def _student_epochs(spec: TrialSpec) -> int:
    return spec.distill.recipe.epochs


def _dense_epochs(spec: TrialSpec) -> int:
    return dense(spec).epochs
