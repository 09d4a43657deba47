"""Ranking of teachers by the validation accuracy of their students."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from pdsearch.analysis.finding import leader
from pdsearch.analysis.footnotes import footer
from pdsearch.analysis.gains import Families, all_gains
from pdsearch.analysis.groups import METRICS, Group, Metric, confirmed_groups, role_of, search_trials, units
from pdsearch.analysis.labels import unique_labels
from pdsearch.analysis.ranked import QUESTIONS, Ranked, Ranking
from pdsearch.analysis.statistics import Estimate, mean_interval
from pdsearch.analysis.study_table import Row, StudyTable, measured
from pdsearch.objectives import VAL_ACCURACY, Aims

__all__ = ["rank_teachers"]

Values: TypeAlias = Mapping[str, float]


def rank_teachers(study: StudyTable) -> Ranking:
    """Rank a study's teachers; the result does not depend on the order of its records.

    Confirmed teachers come first, ordered by the mean of the study's first objective over their students, usually the
    validation accuracy (never test); then unconfirmed ones by the epochs their trials reached and their best trial
    there. Trials that break a constraint are left out; a confirmed teacher whose students' mean breaks one is listed
    below the other confirmed ones, without a rank. Without validation images nothing is selected: each configuration is
    a line without a rank, sorted by test accuracy, highest first.

    Args:
        study: See `read_study`.
    """
    aims = study.aims
    groups, trials = confirmed_groups(study.rows), search_trials(study.rows, aims)
    values = {group.setting: _values(group, study.rows) for group in groups}
    best = _best_groups(groups, aims, values)
    gains: dict[Metric, Families] = {metric: all_gains(best, groups, metric) for metric in METRICS}
    tried = Counter(group.teacher for group in groups)
    confirmed = [
        replace(
            _confirmed(group, trials, gains),
            settings=tried[group.teacher],
            broken=aims.verdict("complete", values[group.setting])[1],
        )
        for group in best
    ]
    confirmed = _ordered(confirmed, aims, values)
    seen = {group.teacher for group in best}
    waiting = [_unconfirmed(rows, aims) for teacher, rows in trials.items() if teacher not in seen]
    waiting.sort(key=lambda row: (-row.rung, *_worst_first(aims.merit(measured(row.best))), row.best.id))
    rows = unique_labels([*confirmed, *waiting])
    first = leader(rows)
    return Ranking(study.name, rows, footer(study, rows, first), first)


def _values(group: Group, rows: Iterable[Row]) -> dict[str, float]:
    """Return the metrics of a confirmed configuration: means over its students, else those of its search trials."""
    known = group.means()
    accuracy = _estimate(group, "val_accuracy")
    known |= {VAL_ACCURACY: accuracy.mean} if accuracy else {}
    for row in rows:
        if row.number is not None and row.setting == group.setting and row.state == "complete":
            known = {**measured(row), **known}
    return known


def _best_groups(groups: Iterable[Group], aims: Aims, values: Mapping[str, Values]) -> list[Group]:
    # A teacher may have several confirmed configurations: its own best, and those in which it is a baseline. The one
    # with the most seeds represents it, ties broken as among trials; without validation all are listed.
    found: dict[tuple[str | None, str], Group] = {}

    def strength(group: Group) -> tuple[Any, ...]:
        known = values[group.setting]
        return len(group.rows), aims.feasible(known), aims.merit(known)

    for group in groups:
        place = group.teacher, "" if group.validated else group.setting
        held = found.get(place)
        if held is None or strength(group) > strength(held):
            found[place] = group
    return list(found.values())


def _estimate(group: Group, metric: Metric) -> Estimate | None:
    values = group.values(metric)
    found = [mean_interval(list(unit.values())) for unit in units(values)] if values else []
    return max(found, key=lambda estimate: estimate.half_width or 0.0, default=None)


def _confirmed(group: Group, trials: Mapping[str, Sequence[Row]], gains: Mapping[Metric, Families]) -> Ranked:
    row = _searched(trials.get(group.teacher or "", ()), group.first)
    return replace(
        row,
        role=role_of(group.first),
        val=_estimate(group, "val_accuracy"),
        test=_estimate(group, "test_accuracy"),
        teacher_val=_mean({row.teacher_seed: row.teacher_val_accuracy for row in group.rows.values()}),
        teacher_test=_mean({row.teacher_seed: row.teacher_test_accuracy for row in group.rows.values()}),
        seeds=len(group.rows),
        teacher_seeds=group.teacher_seeds,
        gains_val={question: gains["val_accuracy"][question].get(group.setting) for question in QUESTIONS},
        gains_test={question: gains["test_accuracy"][question].get(group.setting) for question in QUESTIONS},
    )


def _unconfirmed(trials: Sequence[Row], aims: Aims) -> Ranked:
    rung = max(row.epochs for row in trials)
    best = max(
        (row for row in trials if row.epochs == rung), key=lambda row: (aims.merit(measured(row)), row.id)
    )
    values = {row.teacher_seed: row.teacher_val_accuracy for row in trials}
    return replace(_searched(trials, best), role=role_of(best), teacher_val=_mean(values))


def _searched(trials: Sequence[Row], best: Row) -> Ranked:
    rung = max((row.epochs for row in trials), default=0)
    at_rung = [row for row in trials if row.epochs == rung]
    return Ranked(
        role="teacher",
        label="",
        best=best,
        trials=len(trials),
        rung=rung,
        rung_of=max((row.epochs_planned for row in at_rung), default=0),
        search_best=max((row.val_accuracy for row in at_rung if row.val_accuracy is not None), default=None),
    )


def _mean(by_seed: Mapping[int | None, float | None]) -> float | None:
    values = [value for value in by_seed.values() if value is not None]
    return math.fsum(values) / len(values) if values else None


def _ordered(rows: list[Ranked], aims: Aims, values: Mapping[str, Values]) -> list[Ranked]:
    def place(row: Ranked) -> tuple[Any, ...]:
        order = _worst_first(aims.merit(values[row.best.setting])) if row.val else (-_height(row),)
        return row.broken is not None, *order, row.best.teacher_config or "", row.best.id

    rows.sort(key=place)
    teachers = [row for row in rows if row.role != "alone" and row.val and row.broken is None]
    ranks = {id(row): rank for rank, row in enumerate(teachers, start=1)}
    return [replace(row, rank=ranks.get(id(row))) for row in rows]


def _worst_first(merit: Iterable[float]) -> tuple[float, ...]:
    return tuple(-value for value in merit)


def _height(row: Ranked) -> float:
    estimate = row.val or row.test
    return estimate.mean if estimate else 0.0
