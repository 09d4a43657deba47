"""Which teacher do students learn best from? Ranked by the validation accuracy of its students."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pdsearch.analysis.footer import footer
from pdsearch.analysis.gains import Families, all_gains
from pdsearch.analysis.groups import METRICS, Group, Metric, confirmed_groups, role_of, search_trials, units
from pdsearch.analysis.labels import unique_labels
from pdsearch.analysis.leader import leader
from pdsearch.analysis.ranked import QUESTIONS, Ranked, Ranking
from pdsearch.analysis.row import Row
from pdsearch.analysis.statistics import Estimate, mean_interval
from pdsearch.analysis.table import Study

__all__ = ["rank_teachers"]


def rank_teachers(study: Study) -> Ranking:
    """Rank a study's teachers; the order of its records does not matter.

    Confirmed teachers come first, ordered by the mean validation accuracy of their students (never by test),
    then unconfirmed ones by the epochs their trials reached and their best validation accuracy. A study without
    validation images selected nothing: each configuration is a line, without a rank, the highest test accuracy first.

    Args:
        study: See `read_study`.
    """
    groups, trials = confirmed_groups(study.rows), search_trials(study.rows)
    best = _best_groups(groups)
    gains: dict[Metric, Families] = {metric: all_gains(best, groups, metric) for metric in METRICS}
    tried = Counter(group.teacher for group in groups)
    confirmed = [replace(_confirmed(group, trials, gains), settings=tried[group.teacher]) for group in best]
    confirmed = _ordered(confirmed)
    seen = {group.teacher for group in best}
    waiting = [_unconfirmed(rows) for teacher, rows in trials.items() if teacher not in seen]
    waiting.sort(key=lambda row: (-row.rung, -(row.search_best or 0.0), row.best.id))
    rows = unique_labels([*confirmed, *waiting])
    first = leader(rows)
    return Ranking(study.name, rows, footer(study, rows, first), first)


def _best_groups(groups: Iterable[Group]) -> list[Group]:
    # A teacher may have several confirmed configurations: its own best, and others' configurations it is
    # the baseline of. Those with most seeds compete by validation accuracy; without it all of them stand.
    found: dict[tuple[str | None, str], Group] = {}
    for group in groups:
        place = group.teacher, "" if group.validated else group.setting
        held = found.get(place)
        if held is None or _strength(group) > _strength(held):
            found[place] = group
    return list(found.values())


def _strength(group: Group) -> tuple[int, float]:
    val = _estimate(group, "val_accuracy")
    return len(group.rows), val.mean if val else 0.0


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


def _unconfirmed(trials: Sequence[Row]) -> Ranked:
    rung = max(row.epochs for row in trials)
    best = max(
        (row for row in trials if row.epochs == rung), key=lambda row: (row.val_accuracy or 0.0, row.id)
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


def _ordered(rows: list[Ranked]) -> list[Ranked]:
    rows.sort(key=lambda row: (-_height(row), row.best.teacher_config or "", row.best.id))
    teachers = [row for row in rows if row.role != "alone" and row.val]
    ranks = {id(row): rank for rank, row in enumerate(teachers, start=1)}
    return [replace(row, rank=ranks.get(id(row))) for row in rows]


def _height(row: Ranked) -> float:
    estimate = row.val or row.test
    return estimate.mean if estimate else 0.0
