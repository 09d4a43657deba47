"""Outcomes of the trials of a simulated study: their students' shapes, and accuracies that are drawn.

What finished trials of the study show is kept: accuracies vary between teachers, and between the trials of one, as
much as theirs did; students have the sizes that theirs had.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from statistics import NormalDist, fmean, pstdev

from pdsearch.config import Space
from pdsearch.config.catalog import FROM_TEACHER
from pdsearch.objectives import VAL_ACCURACY
from pdsearch.pipeline.keys import needs_teacher, starting, teacher_config, teacher_key
from pdsearch.protocol import Job, Outcome, Ready, Report, StudentFacts, TeacherFacts
from pdsearch.pruning.registry import methods
from pdsearch.records.trial_record import TrialRecord
from pdsearch.specs import Params, StudentSpec, TrialSpec, derive_seed

DRAWS = 9
"""Draws of a plan, at most."""

LIKE, LEFT = "like", "left"
"""Options in place of the widths of a student shaped by its teacher: the teacher's key, its share of weights left."""


class Outcomes:
    """What each job of a study would report, drawn at random: the same job always the same in one draw."""

    def __init__(self, space: Space, records: Iterable[TrialRecord], draw: int) -> None:
        self._space, self._draw = space, draw
        known = [record for record in records if record.student is not None]
        self._shapes = {repr(_shape(record.spec)): record for record in known}
        full = (
            record.student.params / dict(_shape(record.spec).options).get(LEFT, 1.0)
            for record in known
            if record.student and record.student.params
        )
        self._full = max(full, default=1_000_000.0)
        compared = [record for record in known if record.kind != "confirm"]
        self._accuracies = _Accuracies(compared, draw % DRAWS / (DRAWS - 1))

    def ready(self, job: Job) -> Ready:
        """Return the facts of a job's teacher and student."""
        spec = job.spec
        return Ready(unbuilt_teacher(spec) if needs_teacher(spec) else None, self._student(spec))

    def reports(self, job: Job) -> list[Report]:
        """Return a report for each epoch of a student."""
        epochs = job.spec.distill.recipe.epochs
        values: Sequence[float | None] = [None] * epochs
        if self._space.validated:
            drawn = (self._normal(_pair(job.spec)), self._normal(job.key))
            values = self._accuracies.curve(_pair(job.spec), *drawn, epochs)
        return [Report(epoch, epochs, value, 0.0) for epoch, value in enumerate(values, start=1)]

    def outcome(self, job: Job, reports: Sequence[Report]) -> Outcome:
        """Return the outcome of a trial that ran to its end and keeps the constraints."""
        shape = repr(_shape(job.spec))
        known = self._shapes[shape].values if shape in self._shapes else {}
        values = {
            o.metric: known.get(o.metric, derive_seed("plan", shape) / 2**63) for o in self._space.objectives
        }
        if reports and reports[-1].val_accuracy is not None:
            values[VAL_ACCURACY] = reports[-1].val_accuracy
        return Outcome(
            "complete", values=values | {limit.metric: limit.bound for limit in self._space.constraints}
        )

    def _student(self, spec: TrialSpec) -> StudentFacts:
        shape = _shape(spec)
        if (known := self._shapes.get(repr(shape))) is not None:
            assert known.student is not None
            return known.student
        options = dict(shape.options)
        # Students of about one size are ranked together.
        params = round(self._full * options[LEFT]) if LEFT in options else None
        return StudentFacts(model=shape.model, options=options, params=params)

    def _normal(self, name: str) -> float:
        """Return a draw from the standard normal distribution."""
        share = derive_seed("plan", self._draw, name) / 2**63
        return NormalDist().inv_cdf(min(max(share, 1e-6), 1 - 1e-6))


def unbuilt_teacher(spec: TrialSpec) -> TeacherFacts:
    """Return the facts of a trial's teacher that are known before it is built."""
    return TeacherFacts(
        key=teacher_key(spec),
        config=teacher_config(spec),
        model=spec.teacher.model,
        method=spec.prune.method if spec.prune else None,
        ratio=spec.prune.ratio if spec.prune else None,
    )


class _Accuracies:
    """Validation accuracies by teacher and student, as far as they are known.

    Args:
        records: Trials that have finished.
        widely: From 0 to 1: how far what was stopped early counts for the spread.
    """

    def __init__(self, records: Sequence[TrialRecord], widely: float) -> None:
        ended: dict[str, list[list[float]]] = defaultdict(list)
        found: dict[str, list[float]] = defaultdict(list)
        for record in records:
            if record.state == "complete" and (values := _values(record)):
                ended[_pair(record.spec)].append(values)
        whole = [*chain.from_iterable(ended.values())]
        self._rise = [
            fmean(v[-1] - v[place] for v in whole if len(v) > place)
            for place in range(max(map(len, whole), default=0))
        ]
        for record in records:
            if values := _values(record):
                found[_pair(record.spec)].append(values[-1] + self._before(len(values)))
        self._means = {pair: fmean(values) for pair, values in found.items()}
        self._mean = fmean(self._means.values()) if found else 0.0
        between = pstdev(self._means.values()) if len(found) > 1 else 0.0
        # Those that ran to their end are the better ones and too alike; how far the others would have come is a guess,
        # and they are too unlike. The draws go from the one to the other.
        narrow, wide = (
            _spread([[v[-1] for v in curves] for curves in ended.values()]),
            _spread(found.values()),
        )
        narrow, wide = narrow or wide or between or 1.0, wide or between or 1.0
        self._within = float(narrow ** (1 - widely) * wide**widely)
        self._between = between or wide

    def curve(self, pair: str, of_pair: float, of_trial: float, epochs: int) -> list[float]:
        """Return the accuracy after each epoch, for two draws from the standard normal distribution."""
        last = self._means.get(pair, self._mean + self._between * of_pair) + self._within * of_trial
        last = min(last, 1.0) if self._means else last
        return [last - self._before(epoch) for epoch in range(1, epochs)] + [last]

    def _before(self, epoch: int) -> float:
        """Return by how much accuracies rise after an epoch, on average."""
        return self._rise[epoch - 1] if epoch <= len(self._rise) else 0.0


def _spread(groups: Iterable[Sequence[float]]) -> float:
    """Return the standard deviation within groups; 0 where none has two values."""
    groups = [*groups]
    squares = sum((value - fmean(group)) ** 2 for group in groups for value in group)
    freedom = sum(len(group) - 1 for group in groups)
    return float((squares / freedom) ** 0.5) if freedom else 0.0


def _values(record: TrialRecord) -> list[float]:
    return [report.val_accuracy for report in record.reports if report.val_accuracy is not None]


def _pair(spec: TrialSpec) -> str:
    """Return a name of a trial's teacher and student."""
    return f"{teacher_config(spec) if needs_teacher(spec) else ''} {unshaped(spec)[:2]}"


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
