"""Simulation of a search to count its trainings and epochs, with every artifact computed once and with none shared."""

from collections import Counter
from dataclasses import dataclass, field, replace

from pdsearch.config import Space
from pdsearch.config.catalog import FROM_TEACHER
from pdsearch.objectives import VAL_ACCURACY
from pdsearch.observer import Observer
from pdsearch.pipeline.keys import (
    dense_key,
    early_key,
    needs_teacher,
    round_keys,
    starting,
    teacher_config,
    teacher_key,
)
from pdsearch.pipeline.prune import kept_rounds, recipe_after
from pdsearch.protocol import Job, Outcome, Ready
from pdsearch.pruning import targets
from pdsearch.pruning.registry import methods
from pdsearch.search.confirmation.jobs import DerivedJobs
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.optuna_backend.sampler import empty_study
from pdsearch.search.preflight.dry_run import teacher_jobs
from pdsearch.search.records import UnwrittenRecords
from pdsearch.search.resolved import Description
from pdsearch.search.scheduler import Agenda, Phases
from pdsearch.specs import AtInit, Json, Params, StudentSpec, TrialSpec, derive_seed


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


LIKE, LEFT = "like", "left"
"""Options in place of the widths of a student shaped by its teacher: the teacher's key, its share of weights left."""
MOST_DRAWN = 200
"""Most search trials that are drawn; any others are assumed to be like these."""


@dataclass(frozen=True)
class PlannedArtifact:
    """A dense teacher or a pruning round.

    Args:
        label: Its name for the user.
        stage: "teacher" or "prune".
        epochs: Of its own training.
        built: How often it is computed: once, or more where trials that were not drawn do not share it.
        uses: Search trials that need it, of those that were drawn.
        spec: A trial that needs it.
        stored: Whether it stays in the storage.
        number: Of the round, from 0; None for a dense teacher, or its early weights.
    """

    label: str
    stage: str
    epochs: int
    built: float
    uses: int
    spec: TrialSpec
    stored: bool
    number: int | None = None


@dataclass
class Phase:
    """A part of a study: its students, and its epochs (teachers, rounds and students) without and with reuse."""

    name: str
    students: float = 0
    without_reuse: float = 0
    with_reuse: float = 0


@dataclass(frozen=True)
class Plan:
    """The cost of a study, without early stopping.

    Args:
        study: Its name.
        trials: Search trials; 0 where every configuration is confirmed at once.
        exact: The search visits every point of the space, so that its cost does not depend on what is drawn.
        drawn: Search trials that were drawn, all of them unless they are many.
        artifacts: Dense teachers, then pruning rounds; of the search, those of the drawn trials.
        phases: Those of a study, in their order.
        students: The trial of every student; of the search, the drawn ones.
        spared: Epochs of teachers and rounds that are in the storage already.
    """

    study: str
    trials: int
    exact: bool
    drawn: int
    artifacts: tuple[PlannedArtifact, ...]
    phases: tuple[Phase, ...]
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

    phases: list[Phase] = field(default_factory=list)
    built: dict[str, tuple[Need, TrialSpec]] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    uses: Counter[str] = field(default_factory=Counter)
    students: list[TrialSpec] = field(default_factory=list)
    searched: int = 0

    def phase(self, name: str, _total: int, _done: int) -> None:
        self.phases.append(Phase(name))

    def started(self, job: Job) -> None:
        """Count the epochs of a job and of what must be there before it."""
        now, teaches = self.phases[-1], job.kind == "teacher"
        wanted = (dense(job.spec),) if teaches else needs(job.spec)
        now.with_reuse += sum(need.epochs for need in wanted if need.key not in self.built)
        for need in wanted:
            self.built.setdefault(need.key, (need, job.spec))
            self.stored |= {need.key} if need.stored else set()
            self.uses[need.key] += job.kind == "search"
        if teaches:
            return
        student = job.spec.distill.recipe.epochs
        self.searched += student if job.kind == "search" else 0
        now.students += 1
        now.with_reuse += student
        now.without_reuse += student + teacher_epochs(job.spec)
        self.students.append(job.spec)


def plan(space: Space) -> Plan:
    """Return the cost of a study of a space, in epochs.

    Points and values are random with a fixed seed; a search that visits every point of its space costs the same
    whatever is drawn.
    """
    drawn = min(space.search.trials, MOST_DRAWN)
    unstopped = replace(space.search, trials=drawn, sampler="random", stop=None, timeout=None)
    searched = replace(space, search=unstopped)
    played = _Played()
    agenda = _agenda(searched, played)
    while (job := agenda.next()) is not None:
        agenda.tell(job, _ready(job.spec))
        agenda.finish(job, _outcome(job, space))
    trials, exact = agenda.search.finished, agenda.search.exhausted or not space.parameters
    if trials == drawn and not exact:
        # Whether the search has visited every point of its space.
        exact, trials = agenda.search.ask() is None, space.search.trials
    if trials > drawn:
        _extend(played, drawn, trials)
    return Plan(
        study=space.study,
        trials=trials,
        exact=exact or not trials,
        drawn=min(trials, drawn),
        artifacts=_artifacts(played, trials / drawn if trials > drawn else 1.0),
        phases=tuple(phase for phase in played.phases if phase.students or phase.with_reuse),
        students=tuple(played.students),
    )


def _agenda(space: Space, observer: _Played) -> Agenda:
    describe = Description("", space.precision, versions={}, checkpoints=_ByName(), code=_ByName())
    records = UnwrittenRecords()

    def ledger(kind: str, space: Space) -> Ledger:
        study = empty_study(space)
        return Ledger(study, space, records, kind=kind, describe=describe, single=False)

    phases = Phases(
        DerivedJobs(space, describe, records),
        search=ledger("search", space),
        fair=ledger("baseline", space.unpruned()),
        teachers=lambda: teacher_jobs(space, describe),
        built=lambda job: job.key in observer.built,
        elapsed=lambda: 0.0,
    )
    return Agenda(phases, observer=observer, forget=lambda _key: None)


def _ready(spec: TrialSpec) -> Ready:
    teacher: dict[str, Json] = {
        "key": teacher_key(spec),
        "config": teacher_config(spec),
        "model": spec.teacher.model,
        "method": spec.prune.method if spec.prune else None,
        "ratio": spec.prune.ratio if spec.prune else None,
    }
    shape = _shape(spec)
    options = dict(shape.options)
    student: dict[str, Json] = {"model": shape.model, "options": options}
    if LEFT in options:  # Only their ratio counts: students of about one size are ranked together.
        student["params"] = round(1_000_000 * options[LEFT])
    return Ready(teacher if needs_teacher(spec) else None, student)


def _shape(spec: TrialSpec) -> StudentSpec:
    """Return a student as it would be built; one shaped by its teacher has `LIKE` and `LEFT` for widths."""
    if spec.student.model != FROM_TEACHER:
        return spec.student
    spec = starting(spec)
    removed = spec.prune.ratio if spec.prune and methods.get(spec.prune.method).removes else 0.0
    shape = ((LIKE, teacher_key(spec)), (LEFT, 1 - removed))
    return StudentSpec(spec.teacher.model, (*spec.teacher.options, *shape))


def unshaped(spec: TrialSpec) -> tuple[str, Params, float]:
    """Return the model and the options that determine a student's size, and the share of weights left."""
    shape = _shape(spec)
    options = dict(shape.options)
    left = options.pop(LEFT, 1.0)
    options.pop(LIKE, None)
    return shape.model, tuple(options.items()), left


def _outcome(job: Job, space: Space) -> Outcome:
    """Return the outcome of a trial that keeps the constraints: accuracies derived from keys, sizes from shapes."""
    of = {objective.metric: repr(_shape(job.spec)) for objective in space.objectives} | {
        VAL_ACCURACY: job.key
    }
    values = {
        objective.metric: derive_seed("plan", of[objective.metric]) / 2**63 for objective in space.objectives
    }
    return Outcome("complete", values=values | {limit.metric: limit.bound for limit in space.constraints})


def _extend(played: _Played, drawn: int, trials: int) -> None:
    """Extrapolate to the trials that were not drawn; artifacts that one drawn trial used are taken to be unshared."""
    search = next(phase for phase in played.phases if phase.name == "search")
    alone = sum(need.epochs for key, (need, _) in played.built.items() if played.uses[key] == 1)
    more = trials / drawn - 1
    search.with_reuse += more * (played.searched + alone)
    search.without_reuse += more * search.without_reuse
    search.students = trials


def _artifacts(played: _Played, times: float) -> tuple[PlannedArtifact, ...]:
    """Return dense teachers, then pruning rounds, as they build on one another."""
    found = (
        PlannedArtifact(
            label=need.label,
            stage=need.stage,
            epochs=need.epochs,
            built=times if played.uses[key] == 1 else 1.0,
            uses=played.uses[key],
            spec=spec,
            stored=key in played.stored,
            number=round_keys(spec).index(key) if need.stage == "prune" else None,
        )
        for key, (need, spec) in played.built.items()
    )
    return tuple(
        sorted(found, key=lambda artifact: (artifact.stage != "teacher", artifact.spec.teacher.model))
    )
