"""Simulated studies whose truth is known, and the ranking of thousands of them at once.

A study has some pruned teachers, each with the same teacher unpruned in its configuration, the unpruned teacher in a
configuration of its own, and the student alone. `draw` makes their accuracies (or their answers, image by image),
`judge` puts them through the functions of `pdsearch.analysis` with all studies along the first axis, and `ranked` puts
one study through `rank_teachers` itself, so that both can be compared.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from pdsearch.analysis.crossed import (
    Source,
    SourceSpread,
    combined,
    half_width,
    holm,
    moderated,
    p_value,
    spread,
)
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.statistics import EQUAL, METHODS
from pdsearch.analysis.study_table import Row, StudyTable, row_from_record
from pdsearch.protocol import StudentFacts, TeacherFacts
from pdsearch.records.codec import encode, pack
from pdsearch.records.study_record import UNKNOWN_SPACE, StudyRecord
from pdsearch.records.trial_record import TrialRecord
from pdsearch.specs import (
    DataSpec,
    DistillSpec,
    PruneSpec,
    Recipe,
    StudentSpec,
    TeacherSpec,
    TrialSpec,
    digest,
)

Floats = NDArray[np.float64]

BASE, POINT = 0.9, 0.01


@dataclass(frozen=True)
class Setting:
    """One kind of study; accuracies in points of a hundred.

    Args:
        name: Its name in tables.
        lines: Pruned teachers.
        seeds: Student seeds of each.
        teachers: Teacher seeds.
        sd: Standard deviation over student seeds.
        by_seed: Share of that variance that all configurations of a seed have in common.
        val_test: Share of that variance that validation and test accuracy of a student have in common.
        unequal: Standard deviations differ between configurations, by factors from 1/e to e.
        own: Each pruned teacher has a configuration of its own; otherwise all share one, and its baseline.
        alone: The student alone, beside a student with a teacher.
        better: How much better the second pruned teacher is than all others.
        teacher_sd: Standard deviation over teacher seeds, half of its variance common to all teachers of a seed.
        step: Accuracies are multiples of this; 0: they are continuous.
        missing: Share of students that failed.
        images: Test images, of which each student gets some right; 0: they are not drawn.
        line_sd: Standard deviation, on the scale of image difficulty, by which configurations suit different images.
    """

    name: str
    lines: int = 6
    seeds: int = 5
    teachers: int = 1
    sd: float = 0.8
    by_seed: float = 0.4
    val_test: float = 0.5
    unequal: bool = False
    own: bool = True
    alone: float = -1.0
    better: float = 0.0
    teacher_sd: float = 0.0
    step: float = 0.0
    missing: float = 0.0
    images: int = 0
    line_sd: float = 0.5

    @property
    def groups(self) -> int:
        """Pruned teachers, their baselines, the unpruned teacher's own configuration, the student alone."""
        return self.lines + (self.lines if self.own else 1) + 2


@dataclass(frozen=True)
class Studies:
    """Accuracies in [0, 1] and their truth.

    Args:
        val: (studies, groups, teachers, seeds).
        test: The same, or with a last axis of images.
        truth: Expected test accuracy of each group, for new seeds and new images, (groups,).
        there: Whether each student was trained, in the shape of `val`.
    """

    val: Floats
    test: Floats
    truth: Floats
    there: NDArray[np.bool_]


def draw(setting: Setting, studies: int, random: np.random.Generator) -> Studies:
    """Return studies of a setting."""
    shape = (studies, setting.groups, setting.teachers, setting.seeds)
    shift = np.zeros(setting.groups)
    shift[1], shift[-1] = setting.better, setting.alone
    there = random.random(shape) >= setting.missing
    if setting.images:
        val, test, truth = _by_image(setting, shape, shift, random)
        return Studies(val, test, truth, there)
    quality, val, test = (_noise(setting, shape, random) for _ in range(3))
    scale = setting.sd * np.exp(random.uniform(-1, 1, (*shape[:2], 1, 1))) if setting.unequal else setting.sd
    teachers = setting.teacher_sd * _halves(shape[:3], random)[..., None]
    teachers[:, -1] = 0
    mean = BASE / POINT + shift[:, None, None] + teachers
    found = []
    for own in (val, test):
        points = mean + scale * (
            math.sqrt(setting.val_test) * quality + math.sqrt(1 - setting.val_test) * own
        )
        found.append(POINT * (np.round(points / setting.step) * setting.step if setting.step else points))
    return Studies(found[0], found[1], BASE + POINT * shift, there)


def _noise(setting: Setting, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    shared = random.standard_normal((shape[0], 1, 1, shape[3]))
    own = random.standard_normal(shape)
    return np.asarray(math.sqrt(setting.by_seed) * shared + math.sqrt(1 - setting.by_seed) * own)


def _halves(shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    shared, own = random.standard_normal((shape[0], 1, shape[2])), random.standard_normal(shape)
    return np.asarray(math.sqrt(0.5) * (shared + own))


EASE, EASE_SD, STUDENT_SD, ANSWER_SD = 4.6, 3.0, 0.12, 1.0
"""Ease of images, its spread, that of students, and that of one student's answers: some 92 % right."""


def _by_image(
    setting: Setting, shape: tuple[int, ...], shift: Floats, random: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Draw answers: an image is answered rightly if its ease, for this configuration and student, is above 0.

    The student's own level is common to validation and test images, which are half as many.
    """
    whole = math.sqrt(EASE_SD**2 + setting.line_sd**2 + STUDENT_SD**2 + ANSWER_SD**2)
    density = math.exp(-0.5 * (EASE / whole) ** 2) / math.sqrt(2 * math.pi) / whole
    ease = POINT * shift / density
    level = STUDENT_SD * random.standard_normal((*shape, 1)) + EASE + ease[:, None, None, None]
    parts = []
    for images in (setting.images // 2, setting.images):
        easy = EASE_SD * random.standard_normal((shape[0], 1, 1, 1, images), dtype=np.float32)
        suits = setting.line_sd * random.standard_normal((*shape[:2], 1, 1, images), dtype=np.float32)
        answers = random.standard_normal((*shape, images), dtype=np.float32)
        parts.append((level + easy + suits + ANSWER_SD * answers) > 0)
    return parts[0].mean(axis=-1), parts[1].astype(np.float64), np.asarray(ndtr((EASE + ease) / whole))


@dataclass(frozen=True)
class Judged:
    """What the ranking says of studies.

    Gains are those of the pruned teachers over the same unpruned one, over its own best configuration and over the
    student alone, then the unpruned teacher's over the student alone.

    Args:
        means: Mean test accuracies of the pruned teachers, (studies, lines), and half their intervals.
        gains: Means, (studies, gains).
        halves: Half their intervals; NaN where there is none.
        plain: p-values by a paired t-test over seeds, each on its own.
        adjusted: p-values adjusted for all gains of a study.
        leader: The leader's line; as many as there are lines if the unpruned teacher leads.
        corrected: Its gain over the same teacher unpruned, corrected for its selection, and half the interval.
    """

    means: tuple[Floats, Floats]
    gains: Floats
    halves: Floats
    plain: Floats
    adjusted: Floats
    leader: NDArray[np.int64]
    corrected: tuple[Floats, Floats]


def judge(setting: Setting, studies: Studies) -> Judged:
    """Rank many studies at once; none of their students failed."""
    val, test, lines = studies.val, studies.test, setting.lines
    base = test[:, lines : 2 * lines] if setting.own else test[:, lines : lines + 1]
    pruned, best, alone = test[:, :lines], test[:, -2:-1], test[:, -1:, :1]
    taught = np.concatenate([pruned, best], axis=1)
    columns = [pruned - base, pruned - best, taught - alone]
    nothing = np.zeros_like(columns[0][:, :1])
    leader, choices = _leaders(setting, val)
    cells = np.concatenate([columns[0], nothing], axis=1)
    corrected = _picked(cells, choices)[:, None]
    samples = [_sample(setting, one) for one in [*columns, corrected]]
    sizes = [one.shape[1] for one in columns]
    means, halves, p = _intervals(setting, samples, sizes)
    made = sum(sizes)
    row_mean, row_half, _ = _intervals(setting, [_sample(setting, pruned)], None)
    over_seeds = np.concatenate([_plain(setting, one) for one in columns], axis=1)
    return Judged(
        (row_mean, row_half),
        means[:, :made],
        halves[:, :made],
        over_seeds,
        holm(p[:, :made]),
        leader,
        (means[:, made], halves[:, made]),
    )


def _sample(setting: Setting, cells: Floats) -> Floats:
    return cells if setting.teachers >= METHODS else cells.mean(axis=2)


def _factors(setting: Setting) -> tuple[str, ...]:
    teachers = ("teacher",) if setting.teachers >= METHODS else ()
    return (*teachers, "seed", *(("image",) if setting.images else ()))


def _intervals(
    setting: Setting, samples: list[Floats], columns: list[int] | None
) -> tuple[Floats, Floats, Floats]:
    """Return means, half intervals and p-values along the last axis; without columns, nothing is borrowed.

    The samples after the columns borrow as the first column does, and lend nothing.
    """
    factors = _factors(setting)
    each = [spread(sample, factors) for sample in samples]
    axes = tuple(range(-len(factors), 0))
    mean = np.concatenate([sample.mean(axis=axes) for sample in samples], axis=1)
    by_seed = [sample.mean(axis=-1) if setting.images else sample for sample in samples]
    known = np.concatenate([np.ptp(s.reshape(*s.shape[:2], -1), axis=-1) > EQUAL for s in by_seed], axis=1)
    parts: dict[Source, SourceSpread] = {}
    for source in each[0]:
        joined = np.concatenate([own[source].variance for own in each], axis=1)
        df, levels = each[0][source].df, each[0][source].levels
        if columns is None or "image" in source:
            parts[source] = SourceSpread(joined, df, levels)
            continue
        lends = np.arange(joined.shape[1]) < sum(columns)
        widths = [*columns, joined.shape[1] - sum(columns)]
        starts = np.cumsum([0, *widths])
        most = np.zeros_like(joined)
        for place, (start, stop) in enumerate(pairwise(starts)):
            lent = slice(starts[0], starts[1]) if place == len(columns) else slice(start, stop)
            most[:, start:stop] = df * known[:, lent].sum(axis=1, keepdims=True)
        variances = np.where(known, joined, 0.0)
        shrunk, gained = moderated(variances, df, most, informs=lends)
        parts[source] = SourceSpread(np.where(known, shrunk, joined), gained, levels)
    variance, df = combined(parts)
    half = np.where(known, half_width(variance, df), np.nan)
    return mean, half, np.where(known, p_value(mean, variance, df), np.nan)


def _plain(setting: Setting, cells: Floats) -> Floats:
    """Return p-values of paired t-tests over student seeds (over teacher seeds, where those are a sample)."""
    whole = cells.mean(axis=-1) if setting.images else cells
    units = whole.mean(axis=3) if setting.teachers >= METHODS else whole.mean(axis=2)
    variance = units.var(axis=-1, ddof=1) / units.shape[-1]
    return p_value(units.mean(axis=-1), variance, np.asarray(units.shape[-1] - 1.0))


def _leaders(setting: Setting, val: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the leader of each study, and whom the others choose without each cell, (studies, teachers, seeds)."""
    candidates = np.concatenate([val[:, : setting.lines], val[:, -2:-1]], axis=1)
    leader = candidates.mean(axis=(2, 3)).argmax(axis=1)
    choices = np.empty((len(val), *candidates.shape[2:]), dtype=np.int64)
    for teacher, seed in np.ndindex(candidates.shape[2:]):
        rest = np.delete(candidates, seed, axis=3)
        if setting.teachers >= METHODS:
            rest = np.delete(rest, teacher, axis=2)
        choices[:, teacher, seed] = rest.mean(axis=(2, 3)).argmax(axis=1)
    return leader, choices


def _picked(cells: Floats, choices: NDArray[np.int64]) -> Floats:
    index = choices[:, None]
    if cells.ndim == 5:
        index = index[..., None]
    return np.take_along_axis(cells, index, axis=1)[:, 0]


def ranked(setting: Setting, studies: Studies, number: int) -> Ranking:
    """Return the ranking of one of the studies as a user gets it."""
    rows = []
    for group, row in _templates(setting):
        cells = [(t, s) for t in range(setting.teachers) for s in range(setting.seeds)]
        for teacher, seed in cells:
            if group == setting.groups - 1 and teacher:
                continue
            if not studies.there[number, group, teacher, seed]:
                continue
            answers = studies.test[number, group, teacher, seed]
            val = float(studies.val[number, group, teacher, seed])
            rows.append(
                replace(
                    row,
                    id=f"{group:03d}-{teacher}-{seed}",
                    teacher_seed=teacher if row.teacher_config else None,
                    config=f"{row.config}, {teacher}" if row.teacher_config else row.config,
                    unpruned_config=f"{row.unpruned_config}, {teacher}",
                    student_seed=seed,
                    val_accuracy=val,
                    record=replace(row.record, values={"student.val_accuracy": val}),
                    test_accuracy=float(np.mean(answers)),
                    test_right=pack(list(answers > 0)) if setting.images else None,
                )
            )
    about = StudyRecord(study=setting.name, space=UNKNOWN_SPACE)
    return rank_teachers(StudyTable(setting.name, about, tuple(rows)))


def _templates(setting: Setting) -> Iterator[tuple[int, Row]]:
    """Yield the number and a row of each group; what they are compared with is named as in a real study."""
    lines = setting.lines
    unpruned = {line: f"unpruned {line if setting.own else 0}" for line in range(lines)}
    for line in range(lines):
        yield line, _row(f"m{line}", unpruned[line], baselines={"unpruned": unpruned[line], "alone": "alone"})
    for line in range(lines if setting.own else 1):
        yield lines + line, _row(None, unpruned[line], baselines={"alone": "alone"})
    best = setting.groups - 2
    yield best, _row(None, "its own", baselines={"unpruned": "its own", "alone": "alone"})
    yield best + 1, _row("alone", "alone", baselines={})


def _row(method: str | None, config: str, *, baselines: Mapping[str, str]) -> Row:
    recipe = Recipe(epochs=1, lr=0.1)
    alone = method == "alone"
    name = config if method is None or alone else f"{method} of {config}"
    spec = TrialSpec(
        data=DataSpec(source="digits", fingerprint="f" * 64),
        teacher=TeacherSpec(model="vgg19_bn", seed=0, recipe=recipe),
        prune=PruneSpec(method=method, ratio=0.5, recipe=recipe) if method and not alone else None,
        student=StudentSpec(model="vgg11_bn"),
        distill=DistillSpec(recipe=recipe, loss="ce" if alone else "kd", params=(("of", name),), seed=0),
    )
    facts = TeacherFacts(
        key="b" * 64, config=digest(["teacher", method]), model="vgg19_bn", method=method, ratio=0.5
    )
    record = TrialRecord(
        id="confirm",
        kind="confirm",
        number=None,
        key=digest(encode(spec)),
        params={},
        spec=spec,
        config=name,
        state="complete",
        reports=(),
        values={},
        teacher=None if alone else facts,
        student=StudentFacts(model="vgg11_bn"),
        baselines=baselines,
    )
    return row_from_record(record)
