"""Estimates over seeds and test images: means, paired gains, probability of improvement, what a study can show."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from pdsearch.analysis.crossed import (
    LEVEL,
    Floats,
    Source,
    SourceSpread,
    combined,
    half_width,
    holm,
    moderated,
    p_value,
    spread,
)

CLAIM = 0.05
"""Most chance of any false claim in a table."""

EQUAL = 1e-9
"""Accuracies or their differences that are closer than this are equal up to rounding."""

_TINY = 1e-12

METHODS = 3
"""Fewest teacher seeds that show how teachers vary; with fewer, claims are about the teachers at hand."""

Seeds: TypeAlias = tuple[int, int]
"""Teacher's seed, student's seed."""

Factor: TypeAlias = Literal["teacher", "seed", "image"]
"""What an interval generalises to: further teachers of this kind, further students, further test images."""

Mark: TypeAlias = Literal["", "*", "†"]


@dataclass(frozen=True)
class Estimate:
    """A mean over students, or over pairs of them.

    Args:
        n: Teacher seeds where the estimate is over teachers, else student seeds.
        mean: The mean.
        low: Lower end of the 95 % interval; None where n < 2, or where all seeds give the same.
        high: Upper end.
        over: What the interval is over, e.g. ("seed", "image"); without "image" it holds for these images only.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    over: tuple[Factor, ...] = ("seed",)

    @property
    def all_equal(self) -> bool:
        """Whether there are several values and all are equal, so that their spread is unknown, not zero."""
        return self.n > 1 and self.low is None

    @property
    def one_sided(self) -> bool:
        """Whether an end of the interval is closer to the mean than the other, as that of a share at its bound is."""
        return None not in (self.low, self.high) and abs(self.low + self.high - 2 * self.mean) > EQUAL  # type: ignore[operator]

    def as_share(self) -> "Estimate":
        """Return the estimate of a share, whose interval ends where shares do: outside [0, 1] no truth is left out."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(0.0, self.low), high=min(1.0, self.high))

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, if there is one."""
        return None if self.high is None else self.high - self.mean


@dataclass(frozen=True)
class Gain:
    """A mean paired difference.

    Args:
        estimate: The mean difference over pairs, with its interval.
        p: Two-sided p-value; None where n < 2, or where all differences are equal.
        p_holm: The same, adjusted for all gains of the table.
        mark: "*" if p_holm < 0.05 and the claim is about teachers made like this one; "†" if it is about this teacher
            only, for fewer than three of them were trained; "" otherwise.
        better: Probability that a student of the one kind beats one of the other, on these images, with its interval.
        unpaired: Number of values of the first side that entered no pair.
        trials: Full search trials that either side's configuration was chosen from; 0 for one that was not chosen.
    """

    estimate: Estimate
    p: float | None = None
    p_holm: float | None = None
    mark: Mark = ""
    better: Estimate | None = None
    unpaired: int = 0
    trials: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Sample:
    """Complete crossed results: accuracies, or paired differences of them.

    Args:
        values: One axis for each factor.
        over: The factors.
        cells: Number of (teacher, student) seeds they come from.
        teachers: Number of teacher seeds.
    """

    values: Floats
    over: tuple[Factor, ...]
    cells: int
    teachers: int

    @property
    def seeds(self) -> int:
        """Teacher seeds where they vary, else student seeds; 1 where no seed varies."""
        sizes = zip(self.over, self.values.shape, strict=True)
        return next((size for factor, size in sizes if factor != "image"), 1)

    @property
    def known(self) -> bool:
        """Whether the spread over seeds can be estimated: there are several, and they do not all give the same."""
        if self.seeds < 2:
            return False
        images = tuple(axis for axis, factor in enumerate(self.over) if factor == "image")
        return bool(np.ptp(self.values.mean(axis=images)) > EQUAL)


def sample_of(results: Mapping[Seeds, float | Floats]) -> Sample:
    """Return results by seeds as a complete sample; results that lack their counterparts are left out.

    With fewer than three teacher seeds the teachers are averaged over: they do not show how teachers vary.

    Args:
        results: An accuracy, or one value for each image, (N,); at least one.
    """
    teachers, seeds = complete(results)
    grid = np.array([[results[teacher, seed] for seed in seeds] for teacher in teachers], dtype=np.float64)
    over: list[Factor] = ["teacher", "seed", *(["image"] if grid.ndim > 2 else [])]  # type: ignore[list-item]
    if len(teachers) < METHODS:
        grid, over = grid.mean(axis=0), over[1:]
    single = tuple(axis for axis, size in enumerate(grid.shape) if size == 1)
    kept = tuple(factor for axis, factor in enumerate(over) if axis not in single)
    return Sample(grid.squeeze(single), kept, len(teachers) * len(seeds), len(teachers))


def complete(results: Iterable[Seeds]) -> tuple[list[int], list[int]]:
    """Return teacher and student seeds of which every combination is there, leaving out few."""
    there = set(results)
    teachers, seeds = sorted({t for t, _ in there}), sorted({s for _, s in there})
    while len(there) < len(teachers) * len(seeds):
        gaps = [(sum((t, s) not in there for s in seeds) / len(seeds), 0, t) for t in teachers]
        gaps += [(sum((t, s) not in there for t in teachers) / len(teachers), 1, s) for s in seeds]
        _, axis, worst = max(gaps)
        (seeds if axis else teachers).remove(worst)
        there = {pair for pair in there if pair[axis] != worst}
    return teachers, seeds


def estimates(
    samples: Sequence[Sample], columns: Sequence[object] = (), borrowing: int = 0
) -> list[tuple[Estimate, float | None]]:
    """Return means with 95 % intervals and two-sided p-values that they are zero.

    Variances over seeds and images add up (`crossed.combined`); those over seeds may borrow strength from the other
    samples (`crossed.moderated`). Without seeds, or with seeds that all give the same, there is no interval: a spread
    of zero would make any claim certain.

    Args:
        samples: Those that are shown together.
        columns: The column of each; samples of a column gain at most the degrees of freedom that it has. Without
            columns nothing is borrowed.
        borrowing: Number of samples at the end that borrow and lend nothing.
    """
    known = [place for place, sample in enumerate(samples) if sample.known]
    parts = [spread(samples[place].values, samples[place].over) for place in known]
    if columns:
        lends = np.array(known) < len(samples) - borrowing
        _moderate(parts, [columns[place] for place in known], lends)
    found: list[tuple[Estimate, float | None]] = [
        (Estimate(sample.seeds, float(sample.values.mean()), over=_seeds_only(sample)), None)
        for sample in samples
    ]
    for place, own in zip(known, parts, strict=True):
        variance, df = combined(own)
        mean, half = found[place][0].mean, float(half_width(variance, df).item())
        whole = replace(found[place][0], low=mean - half, high=mean + half, over=samples[place].over)
        found[place] = whole, float(p_value(np.array(mean), variance, df).item())
    return found


def _seeds_only(sample: Sample) -> tuple[Factor, ...]:
    return tuple(factor for factor in sample.over if factor != "image") or ("seed",)


def _moderate(
    parts: Sequence[dict[Source, SourceSpread]], columns: Sequence[object], lends: NDArray[np.bool_]
) -> None:
    """Replace the parts over seeds alone by those that borrowed from the same parts of the others."""
    for source in {source for own in parts for source in own if "image" not in source}:
        places = [place for place, own in enumerate(parts) if source in own]
        variances, df = (
            np.array([float(getattr(parts[place][source], name)) for place in places])
            for name in ("variance", "df")
        )
        lent = lends[places]
        most = np.array([[columns[a] == columns[b] for b in places] for a in places]) @ (df * lent)
        borrowed = moderated(variances, df, most, informs=lent)
        for place, variance, gained in zip(places, *borrowed, strict=True):
            parts[place][source] = replace(parts[place][source], variance=variance, df=gained)


def marked(gains: Sequence[Gain], teachers: Sequence[int]) -> list[Gain]:
    """Return gains with p-values adjusted for all of them, and marked where they stand.

    Args:
        gains: All gains of one table.
        teachers: Of each, the number of teacher seeds.
    """
    raw = np.array([np.nan if gain.p is None else gain.p for gain in gains], dtype=np.float64)
    adjusted = [None if math.isnan(p) else float(p) for p in holm(raw)]
    return [
        replace(gain, p_holm=p, mark=_mark(p, count))
        for gain, p, count in zip(gains, adjusted, teachers, strict=True)
    ]


def _mark(p_holm: float | None, teachers: int) -> Mark:
    if p_holm is None or p_holm >= CLAIM:
        return ""
    return "*" if teachers >= METHODS else "†"


def improvement(ours: Mapping[Seeds, float], theirs: Mapping[Seeds, float]) -> Estimate | None:
    """Return the probability that a student of one kind is more accurate than one of the other; ties count half.

    Its interval is Newcombe's score interval for the Mann-Whitney statistic (his method 5), which does not collapse
    where all of one kind are better. Students of one teacher are alike: they count as fewer independent ones, by Kish's
    design effect with the greater likeness of the two kinds. None with fewer than two students of a kind.

    Sources: Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021;
    Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2", Statistics
    in Medicine 25 (2006); Kish, "Survey Sampling" (1965), section 5.4.

    Args:
        ours: Accuracies of the one kind, in [0, 1].
        theirs: Of the other.
    """
    if min(len(ours), len(theirs)) < 2:
        return None
    likeness = [_likeness(ours), _likeness(theirs)]
    alike = max(one for one, _ in likeness)
    m, n = (
        len(results) / (1 + (each - 1) * alike)
        for results, (_, each) in zip((ours, theirs), likeness, strict=True)
    )
    off = np.subtract.outer(np.array([*ours.values()]), np.array([*theirs.values()]))
    share = float(np.mean(np.where(np.abs(off) <= EQUAL, 0.5, off > 0)))
    z, beside = float(ndtri(0.5 + LEVEL / 2)), (m + n) / 2 - 1

    def excess(true: float) -> float:
        variance = true * (1 - true) * (1 + beside * ((1 - true) / (2 - true) + true / (1 + true))) / (m * n)
        return abs(share - true) - z * math.sqrt(variance)

    low = 0.0 if share == 0 else float(brentq(excess, 0.0, min(share, 1 - _TINY)))
    high = 1.0 if share == 1 else float(brentq(excess, max(share, _TINY), 1.0))
    return Estimate(min(len(ours), len(theirs)), share, low, high)


def _likeness(results: Mapping[Seeds, float]) -> tuple[float, float]:
    """Return the intraclass correlation of students of one teacher, at least 0, and how many students each teacher has.

    With fewer than three teachers claims are about these, and students count as those of one, without likeness.

    Source: Searle, Casella, McCulloch, "Variance Components" (1992), section 3.6.
    """
    by_teacher: dict[int, list[float]] = {}
    for (teacher, _), value in results.items():
        by_teacher.setdefault(teacher, []).append(value)
    count, groups = len(results), [*map(np.array, by_teacher.values())]
    if len(groups) < METHODS or len(groups) == count:
        return 0.0, 1.0
    mean = math.fsum(results.values()) / count
    each = (count - sum(len(group) ** 2 for group in groups) / count) / (len(groups) - 1)
    between = sum(len(group) * (group.mean() - mean) ** 2 for group in groups) / (len(groups) - 1)
    within = sum(np.square(group - group.mean()).sum() for group in groups) / (count - len(groups))
    whole = between + (each - 1) * within
    return (max(0.0, float((between - within) / whole)) if whole > EQUAL**2 else 0.0), each


POWER = 0.8
"""The probability with which the smallest gain is marked."""


def smallest_gain(sd: float, *, lines: int, columns: int, seeds: int, image_variance: float = 0.0) -> float:
    """Return the smallest true gain that is marked in four of five studies, with the correction at its strictest.

    Args:
        sd: Standard deviation of the paired differences over seeds, the same for all.
        lines: Number of teachers compared, among which variances are pooled.
        columns: Number of gains of each.
        seeds: Number of pairs.
        image_variance: Variance of the gain over test images; 0 for these images only.

    Returns:
        The gain in the unit of `sd`; infinite with fewer than two pairs.
    """
    if seeds < 2:
        return math.inf
    df = float((seeds - 1) * max(1, lines))
    error = math.sqrt(sd**2 / seeds + image_variance)
    return float(stdtrit(df, 1 - CLAIM / max(1, lines * columns) / 2) + stdtrit(df, POWER)) * error


STUDENT_SD, SHARED, TEACHER_SD, BY_IMAGE = 0.008, 0.4, 0.006, 0.002
"""Assumed: the spread of one configuration's students, the share of its variance that students of one seed have in
common, the spread of gains over teacher seeds, and the variance of a gain over single images (on the digits search
0.0004 to 0.002 between students that had a teacher)."""

COLUMNS, AIM, MOST_SEEDS = 3, 0.01, 100


def detectable_gain(teachers: int, seeds: int, teacher_seeds: int, images: int | None) -> float:
    """Return the smallest true gain that is marked with a probability of 80 %, as a share.

    Args:
        teachers: Pruned teachers that are confirmed.
        seeds: Student seeds of each.
        teacher_seeds: Teacher seeds of each.
        images: Test images; None where they are not known, and the gain is one on these images.
    """
    image_variance = BY_IMAGE / images if images else 0.0
    students = STUDENT_SD * math.sqrt(2 * (1 - SHARED))
    sd, units = students / math.sqrt(1 if teacher_seeds < METHODS else seeds), seeds
    if teacher_seeds >= METHODS:
        sd, units = math.hypot(sd, TEACHER_SD), teacher_seeds
    elif teacher_seeds > 1:
        sd = sd / math.sqrt(teacher_seeds)
    return smallest_gain(sd, lines=teachers, columns=COLUMNS, seeds=units, image_variance=image_variance)


def forecast_lines(teachers: int, seeds: int, teacher_seeds: int, images: int | None) -> Iterator[str]:
    """Yield the sentences that say so, and what would do for a gain of one point."""
    gain = detectable_gain(teachers, seeds, teacher_seeds, images)
    if math.isinf(gain):
        yield "one seed marks no gain, however great: confirm with three seeds or more"
        return
    of_whom = "for teachers made alike" if teacher_seeds >= METHODS else "for these teachers (†)"
    on_what = f"on new images like these {images:,}" if images else "on these images"
    yield (
        f"a true gain of {100 * gain:.1f} points is marked four times in five, {of_whom}, {on_what}, "
        f"if students of one configuration vary by {100 * STUDENT_SD:.1f} points"
    )
    if gain > AIM:
        yield f"a gain of one point needs {_what_would_do(teachers, seeds, teacher_seeds, images)}"


def _what_would_do(teachers: int, seeds: int, teacher_seeds: int, images: int | None) -> str:
    varied = "teacher_seeds" if teacher_seeds >= METHODS else "seeds"
    for more in range(2, MOST_SEEDS + 1):
        held = (seeds, more) if varied == "teacher_seeds" else (more, teacher_seeds)
        if detectable_gain(teachers, *held, images) <= AIM:
            return f"confirm.{varied}: {more}"
    if images and detectable_gain(teachers, MOST_SEEDS, max(teacher_seeds, 1), None) <= AIM:
        return "more test images than there are: no number of seeds shows it on new ones"
    return f"more than {MOST_SEEDS} seeds"
