"""Footnotes of a ranking: what varied, what intervals and marks mean, what is missing, how constraints were missed."""

import json
import re
from collections.abc import Iterator, Sequence

from pdsearch.analysis.display_names import several
from pdsearch.analysis.ranked import Leader, Ranked, Ranking
from pdsearch.analysis.statistics import METHODS, Estimate
from pdsearch.analysis.study_table import Row, StudyTable
from pdsearch.analysis.verdict import ordering_words
from pdsearch.specs import own_code_of

_Z_95 = 1.96
"""Standard errors within which an accuracy is not distinguished from chance."""


def footer(study: StudyTable, rows: Sequence[Ranked], leaders: Sequence[Leader]) -> tuple[str, ...]:
    """Return the sentences below a ranking."""
    confirmed = [row for row in rows if row.confirmed]
    parts = (
        _order(study, rows, confirmed),
        _students(rows),
        (leader.sentence for leader in leaders),
        _varied(confirmed),
        _intervals(confirmed),
        _baselines(confirmed),
        _infeasible(confirmed),
        _unconfirmed(rows),
        _chance(study),
        _never_tried(study),
        _earlier_code(study),
        _lost(study),
    )
    return tuple(sentence for part in parts for sentence in part)


def _order(study: StudyTable, rows: Sequence[Ranked], confirmed: Sequence[Ranked]) -> Iterator[str]:
    if any(row.val is None for row in confirmed):
        yield (
            "There are no validation images: nothing was selected, and every configuration is a line. The highest of "
            f"{len(confirmed)} test accuracies is no estimate for new images."
        )
    elif confirmed:
        yield (
            f"Ordered by {ordering_words(study.aims)} of the confirmation students; "
            "test accuracies play no part in the order."
        )
    elif any(row.once for row in rows):
        yield "One configuration, trained and tested once: nothing was selected, and one student gives no interval."
    else:
        yield "Nothing is confirmed yet: the lines are the best of a search, not estimates."


def _students(rows: Sequence[Ranked]) -> Iterator[str]:
    found = list(dict.fromkeys(row.student for row in rows))
    if len(found) > 1:
        yield (
            f"Students of {len(found)} sizes or architectures, {', '.join(found)}: each is ranked with its like, and "
            "ranks begin anew."
        )


def _varied(confirmed: Sequence[Ranked]) -> Iterator[str]:
    if not confirmed:
        return
    students = _span(row.seeds // max(1, row.teacher_seeds) for row in confirmed)
    teachers = several(_span(iter(_teachers(confirmed))), "teacher seed")
    yield f"Varied: {several(students, 'student seed')} with their own streams of views, {teachers}."
    if students == "1" and any(row.teacher_seeds >= METHODS for row in confirmed):
        yield "One student seed: intervals are over teachers alone, with what this seed does to all students."
    if any(row.role == "teacher" and row.teacher_seeds < METHODS for row in confirmed):
        yield (
            "With fewer than three teacher seeds the claims are about these teachers, not about pruning methods: "
            "a teacher pruned alike from another seed may teach otherwise."
        )
    if " to " in students or len(_teachers(confirmed)) > 1:
        yield "The lines rest on different numbers of students: compare them with care."


def _teachers(confirmed: Sequence[Ranked]) -> set[int]:
    """Return the numbers of teacher seeds of the lines, without the student alone, which has no teacher."""
    return {row.teacher_seeds for row in confirmed if row.role != "alone"}


def _span(numbers: Iterator[int]) -> str:
    found = sorted(set(numbers))
    return "no" if not found else str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _intervals(confirmed: Sequence[Ranked]) -> Iterator[str]:
    shown = [estimate for row in confirmed for estimate in row.estimates() if estimate.low is not None]
    tests = [estimate for row in confirmed for estimate in row.test_estimates() if estimate.low is not None]
    if shown:
        yield from _over(tests)
        yield "Gains are means of differences paired by seed."
    marks = {gain.mark for row in confirmed for gain in row.gains() if gain.mark}
    if marks:
        told = " and ".join(sorted(marks)) + (" mark" if len(marks) > 1 else " marks")
        yield (
            f"{told} gains that stand with p < 0.05 after Holm's correction over all gains of the table: "
            f"{'; '.join(words for mark, words in _MARKS.items() if mark in marks)}."
        )
    single = [row.label for row in confirmed if any(found.n == 1 for found in (row.val, row.test) if found)]
    if single:
        yield f"One value gives no interval: {', '.join(single)}. Confirm with more seeds."
    equal = [row.label for row in confirmed if any(estimate.all_equal for estimate in row.estimates())]
    if equal:
        yield f"Values that are all equal have no interval, for their spread is not known: {', '.join(equal)}."


_MARKS = {
    "*": "* for teachers made like this one",
    "†": "† for this teacher only, as fewer than three were trained",
}


def _over(tests: Sequence[Estimate]) -> Iterator[str]:
    """Yield what the intervals hold for."""
    by_image = [("image" in estimate.over) for estimate in tests]
    if tests and all(by_image):
        yield (
            "± and [ ] are 95 % intervals; those of test accuracy are over seeds and test images, and hold for new "
            "images of this kind; those of validation accuracy are over seeds, for these images only."
        )
        return
    some = " (of some lines over seeds and images)" if any(by_image) else ""
    why = " The records do not say which images each student got right." if tests else ""
    yield f"± and [ ] are 95 % intervals over seeds{some}, for these images only.{why}"


def _baselines(confirmed: Sequence[Ranked]) -> Iterator[str]:
    roles = {row.role for row in confirmed}
    if "teacher" in roles and "unpruned" not in roles:
        yield "The unpruned teacher is not confirmed: the comparison lacks its best configuration."
    if roles and "alone" not in roles:
        yield "The student alone is not confirmed: whether a teacher helps at all is not shown."
    for row in confirmed:
        if row.role == "unpruned" and row.val and row.settings > 1:
            chosen = row.best.unpruned_config == row.best.config
            which = "the one that its own trials chose" if chosen else "the best"
            yield f"{row.label} stands with {which} of its {row.settings} confirmed configurations."
    unpaired = [
        row.label for row in confirmed if any(gain and gain.unpaired for gain in row.gains_val.values())
    ]
    if unpaired:
        yield f"Students without a partner of the same seed are left out of gains: {', '.join(unpaired)}."


def _infeasible(confirmed: Sequence[Ranked]) -> Iterator[str]:
    for row in confirmed:
        if row.broken is not None and row.role != "alone":
            yield f"{row.label} has no rank and is not exported: its students' mean breaks a constraint, {row.broken}."


def _unconfirmed(rows: Sequence[Ranked]) -> Iterator[str]:
    count = sum(not row.confirmed for row in rows)
    if count and count < len(rows):
        short = sum(not (row.confirmed or row.full_trials) for row in rows)
        early = f"; of {short} no trial was trained to its end" if short else ""
        are, their = ("is", "its") if count == 1 else ("are", "their")
        yield f"{several(count, 'teacher')} {are} unconfirmed: the best of {their} search trials is no estimate{early}."


def _chance(study: StudyTable) -> Iterator[str]:
    """Yield a sentence if no student's validation accuracy is above that of always naming the commonest class."""
    found = study.about.data.commonest.get("val")
    accuracies = [row.val_accuracy for row in study.rows if row.val_accuracy is not None]
    if not found or not accuracies:
        return
    share, images = found
    margin = _Z_95 * (share * (1 - share) / images) ** 0.5
    if max(accuracies) <= share + margin:
        yield (
            f"No student is better than chance: the commonest class is that of {100 * share:.2f} % of the {images} "
            f"validation images, and the best student gets {100 * max(accuracies):.2f} % right."
        )


def never_tried(study: StudyTable) -> tuple[str, ...]:
    """Return the teachers of a space that no trial had, by the values that make them; none where they are endless.

    Only choices make a teacher nameable; parameters of students, losses and their recipes make none.
    """
    others = ("distill.", "student.", "train.distill.")
    making = {n: p for n, p in study.about.space.searched.items() if not n.startswith(others)}
    points: list[dict[str, object]] = [{}]
    for name, parameter in sorted(making.items(), key=lambda item: (len(item[1].when), item[0])):
        if parameter.choices is None or len(points) > _MOST_TEACHERS:
            return ()
        points = [
            {**point, name: choice}
            if all(point.get(n) in values for n, values in parameter.when.items())
            else point
            for point in points
            for choice in parameter.choices
        ]
    tried = (row.record.params for row in study.rows if row.kind != "confirm" and row.teacher_config)
    made = {json.dumps({n: v for n, v in params.items() if n in making}, sort_keys=True) for params in tried}
    fresh = {json.dumps(point, sort_keys=True) for point in points} - made
    named = (" ".join(str(v) for v in json.loads(text).values()) for text in fresh)
    return tuple(sorted(named)) if making else ()


_MOST_TEACHERS = 1_000


def _never_tried(study: StudyTable) -> Iterator[str]:
    found = never_tried(study)
    if found and any(row.kind == "search" for row in study.rows):
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        yield f"Never tried: {', '.join(found[:8])}{more}."


def _lost(study: StudyTable) -> Iterator[str]:
    missed = nearest_trial(study)
    if missed:
        yield f"{missed[0].upper()}{missed[1:]}."
    good = {_job(row) for row in study.rows if row.state != "failed"}
    failed = {_job(row) for row in study.rows} - good  # Each counts once, however many tries failed.
    infeasible = sum(row.state == "infeasible" for row in study.rows)
    for count, what in ((len(failed), "failed"), (infeasible, "broke a constraint")):
        if count:
            yield f"{several(count, 'trial')} {what}."
    if study.broken:
        names = "; ".join(f"{broken.path.name}: {broken.reason}" for broken in study.broken)
        were = "is no record and was" if len(study.broken) == 1 else "are no records and were"
        yield f"{several(len(study.broken), 'file')} {were} left out: {names}."


def _job(row: Row) -> tuple[str, str]:
    """Return what a trial was to compute, with whichever version of own code."""
    return row.kind, _CODE.sub("", row.spec)


_CODE = re.compile(r'"code": ?"\w*"')


def _earlier_code(study: StudyTable) -> Iterator[str]:
    present = set(study.about.code.values())
    counting = [row.record for row in study.rows if row.state != "failed"]
    earlier = sum(not own_code_of(record.spec) <= present for record in counting)
    if present and earlier:
        yield f"{earlier} of {len(counting)} results are of an earlier version of own code."


def shortfall(study: StudyTable, ranking: Ranking) -> str | None:
    """Return which constraints leave a study nothing to export; None if it has something, or no trial has ended."""
    if ranking.top(1):
        return None
    broken = [row for row in ranking.rows if row.broken is not None and row.role != "alone"]
    if not broken:
        return nearest_trial(study)
    first = broken[0]
    return f"no confirmed teacher's students keep every constraint: those of {first.label} have a mean {first.broken}"


def nearest_trial(study: StudyTable) -> str | None:
    """Return the constraints broken by the nearest trial, and by how much; None if one trial keeps all or none ended.

    Fully trained trials are preferred to those that were stopped early or not started.
    """
    aims = study.aims
    rows = [
        row
        for row in study.rows
        if row.number is not None and row.state in ("complete", "stopped", "infeasible")
    ]
    if not (rows and aims.constraints) or any(
        row.state != "infeasible" and aims.feasible(row.record.values) for row in rows
    ):
        return None

    def place(row: Row) -> tuple[object, ...]:
        return row.epochs < row.epochs_planned, *aims.distance(row.record.values), row.id

    nearest = min(rows, key=place)
    values = nearest.record.values
    told = [
        f"{c.complaint(values[c.metric])} ({c.excess(values[c.metric]):.6g} off)" for c in aims.broken(values)
    ]
    broken = "; ".join(told) or nearest.reason or "nothing measured"
    return f"no trial of {len(rows)} keeps every constraint: the nearest, {nearest.id}, has {broken}"
