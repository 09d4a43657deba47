"""The sentence that tells by how much a study missed its constraints if no trial satisfies all of them."""

from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.study_table import Row, StudyTable, measured

__all__ = ["nearest_trial", "shortfall"]


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
        row.state != "infeasible" and aims.feasible(measured(row)) for row in rows
    ):
        return None

    def place(row: Row) -> tuple[object, ...]:
        return row.epochs < row.epochs_planned, *aims.distance(measured(row)), row.id

    nearest = min(rows, key=place)
    values = measured(nearest)
    told = [
        f"{c.complaint(values[c.metric])} ({c.excess(values[c.metric]):.6g} off)" for c in aims.broken(values)
    ]
    broken = "; ".join(told) or nearest.reason or "nothing measured"
    return f"no trial of {len(rows)} keeps every constraint: the nearest, {nearest.id}, has {broken}"
