"""The verdict of a study in words: whether the leader's students gain by its pruning, and by a teacher at all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pdsearch.analysis.gains import Corrected
from pdsearch.analysis.groups import Metric
from pdsearch.analysis.ranked import Finding, Leader, Ranked
from pdsearch.analysis.statistics import METHODS, Estimate, Gain
from pdsearch.analysis.tables import percent
from pdsearch.objectives import VAL_ACCURACY, Aims


def ordering_words(aims: Aims) -> str:
    """Return in words by what teachers are ordered."""
    first = aims.objectives[0]
    if first.metric == VAL_ACCURACY:
        return "the mean validation accuracy"
    return f"{first.metric}, which the study {first.goal}s, and then by the mean validation accuracy"


def verdict(
    rows: Sequence[Ranked], student: str, corrected: Mapping[Metric, Corrected], aims: Aims
) -> Leader | None:
    """Return the verdict on the first-ranked teacher of a kind of student; None where no teacher has a rank.

    Args:
        rows: All lines of a ranking.
        student: Name of the students.
        corrected: The leaders' gains by metric, corrected for their selection.
        aims: By which the leader was chosen.
    """
    rows = [row for row in rows if row.student == student]
    first = next((row for row in rows if row.rank == 1), None)
    if first is None:
        return None
    chosen_from = sum(row.rank is not None for row in rows)
    alone, metric, doubt = _shown("alone", first, corrected, chosen_from)
    beside, shown = _beside_alone(alone, first.gain("alone"), doubt), alone
    if first.role != "unpruned":
        gain, metric, doubt = _shown("unpruned_same", first, corrected, chosen_from)
        finding, shown = _finding(gain), gain
        sentence = _pruned(first, gain, finding, _accuracy(metric, aims), doubt)
    elif alone is None and all(row.role != "teacher" for row in rows):
        return None
    else:
        gain, finding, sentence = None, "unpruned", _unpruned(first, rows, aims)
    return Leader(
        first.label,
        student,
        finding,
        sentence + beside,
        metric=None if shown is None else metric,
        pairs=0 if shown is None else first.seeds - shown.unpaired,
        gain=gain,
        alone=alone,
        against_alone=_finding(alone),
        chosen_from=chosen_from,
        control=_is_control(first),
    )


def _is_control(row: Ranked) -> bool:
    """Return whether a teacher that went through rounds of pruning lost no weights."""
    return row.role == "teacher" and row.best.teacher_sparsity == 0


def _shown(
    question: str, first: Ranked, corrected: Mapping[Metric, Corrected], chosen_from: int
) -> tuple[Gain | None, Metric, str]:
    """Return the leader's gain, its metric, and what was done about its selection, in words.

    It is in test accuracy if there is one, and corrected if it could be; if it could not, it has no mark.
    """
    metrics: tuple[tuple[Metric, Gain | None], ...] = (
        ("test_accuracy", first.gains_test.get(question)),
        ("val_accuracy", first.gains_val.get(question)),
    )
    metric, gain = next(((m, g) for m, g in metrics if g is not None), metrics[1])
    if gain is None or chosen_from == 1:
        return gain, metric, ""
    tested = corrected.get(metric, {}).get((first.student, question))
    if tested is None or tested.estimate.n < min(2, gain.estimate.n):
        return replace(gain, mark=""), metric, f", not corrected for being the best of {chosen_from}"
    return tested, metric, f", corrected for being the best of {chosen_from}"


def _finding(gain: Gain | None) -> Finding:
    if gain is None:
        return "no_pair"
    if gain.estimate.n == 1:
        return "one_pair"
    if not gain.mark:
        return "no_gain"
    return "gain" if gain.estimate.mean > 0 else "loss"


def _unpruned(first: Ranked, rows: Sequence[Ranked], aims: Aims) -> str:
    head = f"The unpruned teacher leads ({first.label})"
    broken = [row.broken is not None for row in rows if row.role == "teacher" and row.confirmed]
    if not broken:
        return f"{head}: no pruned teacher is confirmed."
    if all(broken):
        return f"{head}: the students of every confirmed pruned teacher break a constraint."
    kept = " that keep every constraint" if any(broken) else ""
    better = (
        "have a higher mean validation accuracy"
        if _by_accuracy(aims)
        else f"are better by {ordering_words(aims)}"
    )
    return f"{head}: no confirmed pruned teacher's students{kept} {better}."


def _by_accuracy(aims: Aims) -> bool:
    return aims.objectives[0].metric == VAL_ACCURACY


def _pruned(first: Ranked, gain: Gain | None, finding: Finding, accuracy: str, doubt: str) -> str:
    ours, theirs = _students(first, gain), _others(first)
    unknown = f"{first.label} leads, but whether {ours} gain over {theirs} is not shown"
    if gain is None:
        return f"{unknown}: there is no pair of them."
    pairs = first.seeds - gain.unpaired
    if finding == "one_pair":
        told = "one pair shows" if pairs == 1 else "pairs of one student seed show"
        return f"{unknown}: {told} nothing."
    words = {"gain": "gain over", "loss": "lose against"}.get(finding, "show no sure gain over")
    figures = f"{_points(gain.estimate)} of {accuracy} ({_alike(first)}; {pairs} pairs)"
    same = ", the same in each, which gives no interval" if gain.estimate.low is None else ""
    return f"{first.label} leads: {ours} {words} {theirs}, {figures}{same or doubt}."


def _students(row: Ranked, gain: Gain | None) -> str:
    # Unpaired students: pairs may exist for fewer teachers than the line has.
    if row.teacher_seeds < METHODS or (gain and gain.unpaired):
        return "this teacher's students" if row.teacher_seeds == 1 else "these teachers' students"
    return f"students of teachers made like it ({row.teacher_seeds} teacher seeds)"


def _others(row: Ranked) -> str:
    several = row.teacher_seeds > 1
    if _is_control(row):
        return f"those of the same teacher{'s' if several else ''} not trained on"
    return f"those of {'their unpruned selves' if several else 'its unpruned self'}"


def _beside_alone(gain: Gain | None, in_table: Gain | None, doubt: str) -> str:
    """Return the sentence on the student alone, which may be better than with any teacher.

    Args:
        gain: Over it, corrected if it could be.
        in_table: The same as the table shows it.
        doubt: What was done about the leader's selection.
    """
    if gain is None or in_table is None:
        return ""
    if _finding(gain) == "one_pair":
        points = _points(gain.estimate)
        return f" From one such student without any teacher they differ by {points}, which one student does not show."
    words = {"gain": "are better", "loss": "are worse"}.get(_finding(gain), "are not surely better")
    worse = max(gain.estimate.mean, in_table.estimate.mean) < 0
    better = " The student alone does better on average." if worse and not gain.mark else ""
    told = doubt if gain.estimate != in_table.estimate or (not gain.mark and in_table.mark) else ""
    figures = f"{_points(gain.estimate)}{told}"
    return f" Its students {words} than the same student alone, without any teacher: {figures}.{better}"


def _points(estimate: Estimate) -> str:
    mean, low, high = (percent(value, signed=True) for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} points" + ("" if estimate.low is None else f" [{low}, {high}]")


def _accuracy(metric: Metric, aims: Aims) -> str:
    if metric == "test_accuracy":
        return "test accuracy"
    return f"validation accuracy{', by which it was chosen' if _by_accuracy(aims) else ''}"


def _alike(row: Ranked) -> str:
    params = row.best.record.spec.distill.params
    numbers = [name for name, value in params if not isinstance(value, bool)]
    return f"same {', '.join(['student', *numbers, 'seeds'])}"
