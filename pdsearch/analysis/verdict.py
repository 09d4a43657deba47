"""The verdict of a study in words: whether the leader's students gain by its pruning, and by a teacher at all."""

import json
from collections.abc import Mapping, Sequence

from pdsearch.analysis.gains import Corrected
from pdsearch.analysis.groups import Metric
from pdsearch.analysis.ranked import Finding, Leader, Ranked
from pdsearch.analysis.statistics import METHODS, Estimate, Gain
from pdsearch.analysis.tables import percent


def verdict(rows: Sequence[Ranked], student: str, corrected: Mapping[Metric, Corrected]) -> Leader | None:
    """Return the verdict on the first-ranked teacher of a kind of student; None where no teacher has a rank.

    Args:
        rows: All lines of a ranking.
        student: Name of the students.
        corrected: The leaders' gains by metric, corrected for their selection.
    """
    rows = [row for row in rows if row.student == student]
    first = next((row for row in rows if row.rank == 1), None)
    if first is None:
        return None
    alone, metric = _shown("alone", first, corrected)
    chosen_from = sum(row.rank is not None for row in rows)
    against, beside = _finding(alone), _beside_alone(alone, first.gain("alone"), chosen_from)
    if first.role == "unpruned":
        if all(row.role != "teacher" for row in rows) and alone is None:
            return None
        sentence = f"{_unpruned(first, rows)}{beside}"
        pairs = 0 if alone is None else first.seeds - alone.unpaired
        told = None if alone is None else metric
        return Leader(
            first.label, student, "unpruned", sentence, told, pairs, None, alone, against, chosen_from
        )
    gain, metric = _shown("unpruned_same", first, corrected)
    finding = _finding(gain)
    pairs = 0 if gain is None else first.seeds - gain.unpaired
    sentence = f"{_pruned(first, gain, finding, metric, chosen_from)}{beside}"
    told = None if gain is None else metric
    return Leader(first.label, student, finding, sentence, told, pairs, gain, alone, against, chosen_from)


def _shown(question: str, first: Ranked, corrected: Mapping[Metric, Corrected]) -> tuple[Gain | None, Metric]:
    """Return the leader's gain and its metric: in test accuracy if there is one, corrected if it could be."""
    metrics: tuple[tuple[Metric, Gain | None], ...] = (
        ("test_accuracy", first.gains_test.get(question)),
        ("val_accuracy", first.gains_val.get(question)),
    )
    metric, gain = next(((m, g) for m, g in metrics if g is not None), metrics[1])
    return (corrected.get(metric, {}).get((first.student, question), gain) if gain else None), metric


def _finding(gain: Gain | None) -> Finding:
    if gain is None:
        return "no_pair"
    if gain.estimate.n == 1:
        return "one_pair"
    if not gain.mark:
        return "no_gain"
    return "gain" if gain.estimate.mean > 0 else "loss"


def _unpruned(first: Ranked, rows: Sequence[Ranked]) -> str:
    head = f"The unpruned teacher leads ({first.label})"
    if any(row.role == "teacher" and row.confirmed for row in rows):
        return f"{head}: no confirmed pruned teacher's students have a higher mean validation accuracy."
    return f"{head}: no pruned teacher is confirmed."


def _pruned(first: Ranked, gain: Gain | None, finding: Finding, metric: Metric, chosen_from: int) -> str:
    ours, theirs = _students(first, gain), _others(first)
    unknown = f"{first.label} leads, but whether {ours} gain over {theirs} is not shown"
    if gain is None:
        return f"{unknown}: there is no pair of them."
    pairs = first.seeds - gain.unpaired
    if finding == "one_pair":
        told = "one pair shows" if pairs == 1 else "pairs of one student seed show"
        return f"{unknown}: {told} nothing."
    words = {"gain": "gain over", "loss": "lose against"}.get(finding, "show no sure gain over")
    figures = f"{_points(gain.estimate)} of {_accuracy(metric)} ({_alike(first)}; {pairs} pairs)"
    return f"{first.label} leads: {ours} {words} {theirs}, {figures}{_doubt(gain, chosen_from)}."


def _students(row: Ranked, gain: Gain | None) -> str:
    # Unpaired students: pairs may exist for fewer teachers than the line has.
    if row.teacher_seeds < METHODS or (gain and gain.unpaired):
        return "this teacher's students" if row.teacher_seeds == 1 else "these teachers' students"
    return f"students of teachers made like it ({row.teacher_seeds} teacher seeds)"


def _others(row: Ranked) -> str:
    several = row.teacher_seeds > 1
    if row.best.teacher_sparsity == 0:  # A control, which lost no weights.
        return f"those of the same teacher{'s' if several else ''} not trained on"
    return f"those of {'their unpruned selves' if several else 'its unpruned self'}"


def _beside_alone(gain: Gain | None, in_table: Gain | None, chosen_from: int) -> str:
    """Return the sentence on the student alone, which may be better than with any teacher.

    Args:
        gain: Over it, corrected if it could be.
        in_table: The same as the table shows it.
        chosen_from: Number of teachers that the leader was chosen from.
    """
    if gain is None or in_table is None:
        return ""
    words = {
        "gain": "are better than the same student alone, without any teacher",
        "loss": "are worse than the same student alone, without any teacher",
        "one_pair": "and the same student alone differ by",
    }.get(_finding(gain), "are not surely better than the same student alone, without any teacher")
    worse = max(gain.estimate.mean, in_table.estimate.mean) < 0
    better = " The student alone does better." if worse and not gain.mark else ""
    corrected = gain.estimate != in_table.estimate and chosen_from > 1
    doubt = ", corrected likewise" if corrected else ""
    return f" Its students {words}: {_points(gain.estimate)}{doubt}.{better}"


def _points(estimate: Estimate) -> str:
    mean, low, high = (percent(value, signed=True) for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} points" + ("" if estimate.low is None else f" [{low}, {high}]")


def _doubt(gain: Gain, chosen_from: int) -> str:
    if gain.estimate.low is None:
        return ", the same in each, which gives no interval"
    return f", corrected for being the best of {chosen_from}" if chosen_from > 1 else ""


def _accuracy(metric: Metric) -> str:
    return "test accuracy" if metric == "test_accuracy" else "validation accuracy, by which it was chosen"


def _alike(row: Ranked) -> str:
    params = dict(json.loads(row.best.spec)["distill"].get("params") or {})
    numbers = [name for name, value in params.items() if not isinstance(value, bool)]
    return f"same {', '.join(['student', *numbers, 'seeds'])}"
