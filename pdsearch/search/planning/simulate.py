"""Simulation of a search to count its trainings and epochs, with every artifact computed once and with none shared."""

from collections import Counter
from dataclasses import dataclass, field, replace

from pdsearch.config import Space
from pdsearch.objectives import counts_as_trial
from pdsearch.observer import Observer
from pdsearch.pipeline.keys import (
    dense_key,
    early_key,
    needs_teacher,
    round_keys,
    starting,
)
from pdsearch.pipeline.prune import kept_rounds, recipe_after
from pdsearch.protocol import Job, Outcome
from pdsearch.pruning import targets
from pdsearch.pruning.registry import methods
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.confirmation.jobs import DerivedJobs
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.optuna_backend.rebuild import retold
from pdsearch.search.planning.outcomes import Outcomes
from pdsearch.search.records import Records, UnwrittenRecords
from pdsearch.search.resolved import Description
from pdsearch.search.scheduler import Clock, Phases, Scheduler
from pdsearch.specs import AtInit, TrialSpec


@dataclass(frozen=True)
class Need:
    """An artifact of a teacher.

    Args:
        stage: "teacher" or "prune".
        key: Its key, without the data's fingerprint.
        epochs: Of its own training.
        label: Its name for the user.
        stored: Whether it stays in the storage.
    """

    stage: str
    key: str
    epochs: int
    label: str
    stored: bool = True


def needs(spec: TrialSpec) -> tuple[Need, ...]:
    """Return the teachers' artifacts that a trial needs, first to last; none for a student alone."""
    found = _teacher(spec) if needs_teacher(spec) else ()
    return tuple(dict.fromkeys((*found, *_teacher(starting(spec))))) if spec.student.is_kept else found


def _teacher(spec: TrialSpec) -> tuple[Need, ...]:
    if spec.prune is None:
        return (dense(spec),)
    before = () if isinstance(spec.prune.after_round, AtInit) else (dense(spec),)
    return (*before, *_early(spec), *_rounds(spec))


def dense(spec: TrialSpec) -> Need:
    """Return the dense teacher of a trial, whether it needs it or not."""
    teacher = spec.teacher
    epochs = teacher.recipe.epochs if teacher.trained_here else 0
    return Need("teacher", dense_key(spec), epochs, teacher.model)


def teacher_epochs(spec: TrialSpec) -> int:
    """Return the epochs that a trial's teacher takes with an empty cache."""
    return sum(need.epochs for need in needs(spec))


def _early(spec: TrialSpec) -> tuple[Need, ...]:
    """Return the teacher's early weights, where pruning rewinds to them."""
    epoch = spec.prune.rewind_epoch if spec.prune else 0
    if not epoch:
        return ()
    return (Need("teacher", early_key(spec, epoch), epoch, f"{spec.teacher.model} to epoch {epoch}"),)


def _rounds(spec: TrialSpec) -> list[Need]:
    assert spec.prune is not None
    prune, found = spec.prune, []
    removes = methods.get(prune.method).removes
    sparsities, keys, kept = targets(prune), round_keys(spec), kept_rounds(prune)
    for number, (sparsity, key) in enumerate(zip(sparsities, keys, strict=True), start=1):
        recipe = recipe_after(spec, prune, number) if number in kept else None
        gone = f", {100 * sparsity:.0f} %" if removes else ""
        label = f"{spec.teacher.model} {prune.method} round {number}{gone}"
        found.append(Need("prune", key, recipe.epochs if recipe else 0, label, stored=number in kept))
    return found


MOST_DRAWN = 200
"""Most search trials that are drawn beyond those that have finished; any others are assumed to be like these."""


@dataclass(frozen=True, kw_only=True)
class PlannedArtifact(Need):
    """A dense teacher or a pruning round, as often as a study computes and uses it.

    Args:
        built: How often it is computed: once, or more where trials that were not drawn do not share it.
        uses: Search trials that need it, of those that were drawn.
        spec: A trial that needs it.
        number: Of the round, from 0; None for a dense teacher, or its early weights.
    """

    built: float
    uses: int
    spec: TrialSpec
    number: int | None = None


@dataclass
class PhaseCost:
    """A part of a study: its students, and its epochs (teachers, rounds and students) without and with reuse."""

    name: str
    students: float = 0
    without_reuse: float = 0
    with_reuse: float = 0


@dataclass(frozen=True)
class Plan:
    """The cost of a study, or of what is left of one that has begun.

    Args:
        study: Its name.
        trials: Search trials, finished ones included; 0 where every configuration is confirmed at once.
        done: Search trials that have finished.
        exact: The search visits every point of the space, so that its cost does not depend on what is drawn.
        drawn: Search trials that finished or were drawn, all of them unless they are many.
        artifacts: Dense teachers, then pruning rounds; of the search, those of the drawn trials.
        phases: Those of a study, in their order.
        students: The trial of every student; of the search, the drawn ones.
        spared: Epochs of teachers and rounds that are in the storage already.
    """

    study: str
    trials: int
    done: int
    exact: bool
    drawn: int
    artifacts: tuple[PlannedArtifact, ...]
    phases: tuple[PhaseCost, ...]
    students: tuple[TrialSpec, ...]
    spared: float = 0.0

    @property
    def without_reuse(self) -> float:
        """Epochs if every trial trained all it needs."""
        return sum(phase.without_reuse for phase in self.phases)

    @property
    def with_reuse(self) -> float:
        """Epochs with every artifact computed once, and none that is stored already."""
        return sum(phase.with_reuse for phase in self.phases) - self.spared

    def count(self, stage: str) -> int:
        """Return how many artifacts of a stage are computed."""
        return round(sum(artifact.built for artifact in self.artifacts if artifact.stage == stage))


class _ByName(dict[str, str]):
    """Gives each name in place of its file's hash: no file is read, and the jobs do not depend on the content."""

    def __missing__(self, name: str) -> str:
        return name


@dataclass
class _Played(Observer):
    """An observer that counts what the jobs of a study train."""

    phases: list[PhaseCost] = field(default_factory=list)
    built: dict[str, tuple[Need, TrialSpec]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    uses: Counter[str] = field(default_factory=Counter)
    students: list[TrialSpec] = field(default_factory=list)
    searched: int = 0

    def phase(self, name: str, _total: int, _done: int) -> None:
        self.phases.append(PhaseCost(name))

    def ended(self, job: Job, _outcome: Outcome, record: TrialRecord | None) -> None:
        """Count the epochs of a job and of what must be there before it."""
        now = self.phases[-1]
        wanted = needs(job.spec) if record else (dense(job.spec),)
        now.with_reuse += sum(need.epochs for need in wanted if need.key not in self.built)
        for need in wanted:
            self.built.setdefault(need.key, (need, job.spec))
            self.stored |= {need.key} if need.stored else set()
            self.uses[need.key] += job.kind == "search"
        if record is None:
            return
        student = len(record.reports)
        self.searched += student if job.kind == "search" else 0
        now.students += 1
        now.with_reuse += student
        now.without_reuse += student + teacher_epochs(job.spec)
        self.students.append(job.spec)


@dataclass(frozen=True)
class Begun:
    """A study so far: its records, and what it resolved when it began."""

    records: Records
    describe: Description


def plan(space: Space, begun: Begun | None = None, *, draw: int = 0) -> Plan:
    """Return the cost of a study of a space, in epochs.

    Its phases are played with its own sampler and early stopping. Accuracies are drawn at random, like those that have
    finished: which teachers lead, and how often a sampler that learns tries each, differs from draw to draw.

    Args:
        space: What is searched.
        begun: What is there of the study; None plans a new one.
        draw: Number of the draw; the same one always gives the same plan.

    Raises:
        PdsearchError: A sampler of the user's own fails.
    """
    played, records = _Played(), UnwrittenRecords(begun.records if begun else None)
    done = sum(
        record.kind == "search" and counts_as_trial(record.state) for record in records.finished.values()
    )
    drawn = max(done, min(space.search.trials, done + MOST_DRAWN))
    limited = replace(space, search=replace(space.search, trials=drawn, timeout=None, gpu_hours=None))
    outcomes = Outcomes(space, records.finished.values(), draw)
    scheduler = _scheduler(limited, played, records, begun)
    if not (begun and scheduler.idle()):  # Asked once, as by a driver: it looks at every record.
        while (job := scheduler.next()) is not None:
            scheduler.finish(job, _outcome(job, scheduler, outcomes))
    trials, exact = scheduler.search.finished, scheduler.search.exhausted or not space.parameters
    if trials == drawn and not exact:
        # Whether the search has visited every point of its space.
        exact, trials = scheduler.search.ask() is None, max(drawn, space.search.trials)
    if trials > drawn:
        _extend(played, drawn - done, trials - done)
    return Plan(
        study=space.study,
        trials=trials,
        done=done,
        exact=exact or not trials,
        drawn=min(trials, drawn),
        artifacts=_artifacts(played, (trials - done) / (drawn - done) if trials > drawn else 1.0),
        phases=tuple(phase for phase in played.phases if phase.students or phase.with_reuse),
        students=tuple(played.students),
    )


def _scheduler(space: Space, observer: _Played, records: Records, begun: Begun | None) -> Scheduler:
    # Of a new study no file is read: names stand for their hashes.
    new = Description("", space.precision, versions={}, checkpoints=_ByName(), code=_ByName())
    describe = begun.describe if begun else new

    def ledger(kind: str, space: Space) -> Ledger:
        study = retold(space, records, kind)
        return Ledger(study, space, records, kind=kind, describe=describe, single=False)

    phases = Phases(
        DerivedJobs(space, describe, records),
        search=ledger("search", space),
        unpruned=ledger("baseline", space.unpruned()),
        built=lambda job: job.key in observer.built,
        clock=Clock(),
    )
    return Scheduler(phases, observer=observer, forget=lambda _key: None)


def _outcome(job: Job, scheduler: Scheduler, outcomes: Outcomes) -> Outcome:
    """Report a job to its study, epoch by epoch, and return how it ends."""
    if job.kind == "teacher":
        return Outcome("complete")
    scheduler.tell(job, outcomes.ready(job))
    reports = outcomes.reports(job)
    for report in reports:
        if scheduler.tell(job, report):
            return Outcome("stopped")
    return outcomes.outcome(job, reports)


def _extend(played: _Played, drawn: int, trials: int) -> None:
    """Extrapolate to the trials that were not drawn; artifacts that one drawn trial used are taken to be unshared."""
    search = next(phase for phase in played.phases if phase.name == "search")
    alone = sum(need.epochs for key, (need, _) in played.built.items() if played.uses[key] == 1)
    more = trials / drawn - 1
    search.with_reuse += more * (played.searched + alone)
    search.without_reuse += more * search.without_reuse
    search.students = trials
    for phase in played.phases:
        if phase.name in (
            "comparison",
            "topping up",
        ):  # Their trials follow from how many of the search a teacher had.
            phase.students *= 1 + more
            phase.with_reuse *= 1 + more
            phase.without_reuse *= 1 + more


def _artifacts(played: _Played, times: float) -> tuple[PlannedArtifact, ...]:
    """Return dense teachers, then pruning rounds, as they build on one another."""
    found = (
        PlannedArtifact(
            **vars(replace(need, stored=key in played.stored)),
            built=times if played.uses[key] == 1 else 1.0,
            uses=played.uses[key],
            spec=spec,
            number=round_keys(spec).index(key) if need.stage == "prune" else None,
        )
        for key, (need, spec) in played.built.items()
    )
    return tuple(
        sorted(found, key=lambda artifact: (artifact.stage != "teacher", artifact.spec.teacher.model))
    )
