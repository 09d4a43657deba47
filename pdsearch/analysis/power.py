"""What a confirmation can show, told before it runs: the smallest gain that it marks four times in five."""

import math
from collections.abc import Iterator

from pdsearch.analysis.statistics import METHODS, smallest_gain

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
