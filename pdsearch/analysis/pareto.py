"""The Pareto front: trials not dominated by any other in several objectives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pdsearch.analysis.study_table import Row, StudyTable, measured
from pdsearch.errors import ConfigError
from pdsearch.objectives import Aims, weighed

_GOALS = ("maximize", "minimize")


@dataclass(frozen=True)
class Front:
    """Trials no other trial dominates.

    Args:
        study: Name of the study.
        objectives: (metric, goal) pairs.
        rows: The trials, best in the first objective first.
        left_out: Complete trials that lack one of the metrics.
    """

    study: str
    objectives: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    left_out: tuple[Row, ...] = ()


def front(points: Sequence[Sequence[float]], goals: Sequence[str]) -> list[int]:
    """Return the indices of the non-dominated points, in their order; equal points are all kept.

    A point dominates another if it is at least as good in every objective and better in one.

    Args:
        points: One row of finite values per point.
        goals: "maximize" or "minimize", one for each value of a row.

    Raises:
        ConfigError: A goal is neither of these.
    """
    unknown = [goal for goal in goals if goal not in _GOALS]
    if unknown:
        raise ConfigError(f"unknown goal {unknown[0]!r}", hint="use maximize or minimize")
    if not points:
        return []
    values = np.asarray(points, dtype=np.float64) * np.array([weighed(1.0, goal) for goal in goals])
    return [place for place, value in enumerate(values) if not _dominated(value, values)]


def _dominated(
    value: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    values: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
) -> bool:
    return bool(np.any(np.all(values >= value, axis=1) & np.any(values > value, axis=1)))


def pareto_front(study: StudyTable, objectives: Sequence[tuple[str, str]] | None = None) -> Front:
    """Return the front of a study's complete search trials, without those that break a constraint.

    Args:
        study: See `read_study`.
        objectives: (metric, goal) pairs; None takes the study's own.

    Raises:
        ConfigError: There are fewer than two objectives.
    """
    chosen = tuple(objectives if objectives is not None else _own(study.aims))
    if len(chosen) < 2:
        hint = "search with several `objectives`; `pdsearch rank --rows FILE` writes all metrics of any study"
        raise ConfigError("a front needs two objectives or more", hint=hint)
    rows = sorted((row for row in study.rows if _is_eligible(row, study.aims)), key=lambda row: row.id)
    metrics = [measured(row) for row in rows]
    whole = [place for place, found in enumerate(metrics) if all(metric in found for metric, _ in chosen)]
    points = [[metrics[place][metric] for metric, _ in chosen] for place in whole]
    kept = [whole[place] for place in front(points, [goal for _, goal in chosen])]
    metric, goal = chosen[0]
    kept.sort(key=lambda place: (-weighed(metrics[place][metric], goal), rows[place].id))
    left_out = tuple(row for place, row in enumerate(rows) if place not in set(whole))
    return Front(study.name, chosen, tuple(rows[place] for place in kept), left_out)


def _is_eligible(row: Row, aims: Aims) -> bool:
    return row.kind in ("search", "baseline") and row.state == "complete" and aims.feasible(measured(row))


def _own(aims: Aims) -> list[tuple[str, str]]:
    return [(objective.metric, objective.goal) for objective in aims.objectives]
