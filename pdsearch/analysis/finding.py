"""The main finding of a study: whether the first-ranked teacher's students gain by its pruning."""

import json
from collections.abc import Sequence

from pdsearch.analysis.groups import Metric
from pdsearch.analysis.ranked import Finding, Leader, Ranked
from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.tables import percent

__all__ = ["leader"]


def leader(rows: Sequence[Ranked]) -> Leader | None:
    """Compare the first-ranked teacher's students with those of the same teacher unpruned.

    Args:
        rows: All lines of a ranking.

    Returns:
        The finding; None where no teacher has a rank, or none was pruned.
    """
    first = next((row for row in rows if row.rank == 1), None)
    if first is None or all(row.role != "teacher" for row in rows):
        return None
    if first.role == "unpruned":
        return Leader(first.label, "unpruned", _unpruned(first, rows))
    return _pruned(first)


def _unpruned(first: Ranked, rows: Sequence[Ranked]) -> str:
    head = f"The unpruned teacher leads ({first.label})"
    if any(row.role == "teacher" and row.confirmed for row in rows):
        return f"{head}: no confirmed pruned teacher's students have a higher mean validation accuracy."
    return f"{head}: no pruned teacher is confirmed."


def _pruned(first: Ranked) -> Leader:
    gain = first.gain("unpruned_same")
    ours, theirs = _students(first, gain), _others(first)
    unknown = f"{first.label} leads, but whether {ours} gain over {theirs} is not shown"
    if gain is None:
        return Leader(first.label, "no_pair", f"{unknown}: there is no pair of them.")
    tested, pairs = first.gains_test.get("unpruned_same") is not None, first.seeds - gain.unpaired
    finding = _finding(gain.estimate)
    if finding == "one_pair":
        told = "one pair shows" if pairs == 1 else "pairs of one student seed show"
        sentence = f"{unknown}: {told} nothing."
    else:
        verdict = {"gain": "gain over", "loss": "lose against"}.get(finding, "show no gain over")
        figures = f"{_points(gain.estimate)} of {_accuracy(tested=tested)} ({_alike(first)}; {pairs} pairs)"
        sentence = f"{first.label} leads: {ours} {verdict} {theirs}, {figures}{_doubt(gain, finding)}."
    metric: Metric = "test_accuracy" if tested else "val_accuracy"
    return Leader(first.label, finding, sentence, metric, pairs, gain)


def _finding(estimate: Estimate) -> Finding:
    if estimate.n == 1:
        return "one_pair"
    if estimate.low is None or estimate.high is None:  # All differences are equal: their spread is unknown.
        return "no_gain"
    return "gain" if estimate.low > 0 else "loss" if estimate.high < 0 else "no_gain"


def _students(row: Ranked, gain: Gain | None) -> str:
    # Fewer than three teachers do not show how teachers vary, so the claim is about these teachers only.
    # Unpaired students: pairs may exist for fewer teachers than the line has.
    if row.teacher_seeds < 3 or (gain and gain.unpaired):
        return "this teacher's students" if row.teacher_seeds == 1 else "these teachers' students"
    return f"students of teachers made like it ({row.teacher_seeds} teacher seeds)"


def _others(row: Ranked) -> str:
    several = row.teacher_seeds > 1
    if row.best.teacher_sparsity == 0:  # A control, which lost no weights.
        return f"those of the same teacher{'s' if several else ''} not trained on"
    return f"those of {'their unpruned selves' if several else 'its unpruned self'}"


def _points(estimate: Estimate) -> str:
    mean, low, high = (percent(value, signed=True) for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean} points" + ("" if estimate.low is None else f" [{low}, {high}]")


def _doubt(gain: Gain, finding: Finding) -> str:
    if gain.estimate.low is None:
        return ", the same in each, which gives no interval"
    sure = gain.p_holm is not None and gain.p_holm < 0.05
    return "" if sure or finding == "no_gain" else f", a {finding} that does not stand Holm's correction"


def _accuracy(*, tested: bool) -> str:
    return "test accuracy" if tested else "validation accuracy, by which it was chosen"


def _alike(row: Ranked) -> str:
    params = dict(json.loads(row.best.spec)["distill"].get("params") or {})
    numbers = [name for name, value in params.items() if not isinstance(value, bool)]
    return f"same {', '.join(['student', *numbers, 'seeds'])}"
