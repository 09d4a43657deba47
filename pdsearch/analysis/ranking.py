"""Ranking of teachers by the validation accuracy of their students."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeAlias

from pdsearch.analysis.footnotes import footer, never_tried
from pdsearch.analysis.gains import Compared, Families, all_gains
from pdsearch.analysis.groups import METRICS, Group, Metric, confirmed_groups, role_of, search_trials
from pdsearch.analysis.labels import unique_labels
from pdsearch.analysis.ranked import QUESTIONS, Ranked, Ranking
from pdsearch.analysis.statistics import Estimate, estimates
from pdsearch.analysis.study_table import Row, StudyTable, measured
from pdsearch.analysis.verdict import verdict
from pdsearch.errors import ConfigError
from pdsearch.objectives import VAL_ACCURACY, Aims

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
    best = _ordered(_best_groups(groups, aims, values), aims, values)
    broken = {group.setting: aims.verdict("complete", values[group.setting])[1] for group in best}
    ranked = [g for g in best if g.teacher is not None and g.validated and broken[g.setting] is None]
    compared = Compared(best, groups, ranked, _full_trials(study.rows, trials), aims)
    gains = {metric: all_gains(compared, metric) for metric in METRICS}
    means = {metric: _estimates(best, metric) for metric in METRICS}
    tried = Counter(group.teacher for group in groups)
    places = {group.setting: place for place, group in enumerate(ranked, start=1)}
    confirmed = [
        replace(
            _confirmed(group, trials, {metric: families for metric, (families, _) in gains.items()}),
            rank=places.get(group.setting),
            val=means["val_accuracy"].get(group.setting),
            test=means["test_accuracy"].get(group.setting),
            full_trials=compared.trials.get(group.teacher, 0),
            settings=tried[group.teacher],
            broken=broken[group.setting],
        )
        for group in best
    ]
    seen = {group.teacher for group in best}
    waiting = [_unconfirmed(rows, aims) for teacher, rows in trials.items() if teacher not in seen]
    waiting.sort(key=lambda row: (-row.rung, *_worst_first(aims.merit(measured(row.best))), row.best.id))
    rows = unique_labels([*confirmed, *waiting])
    first = verdict(rows, {metric: corrected for metric, (_, corrected) in gains.items()})
    return Ranking(study.name, rows, footer(study, rows, first), first, never_tried(study))


def line_of(study: StudyTable, ranking: Ranking, trial: str) -> Ranked:
    """Return the line of one trial: its configuration's where that is confirmed and listed, else its own.

    Args:
        study: See `read_study`.
        ranking: Of the study.
        trial: Its id; a complete one.

    Raises:
        ConfigError: There is no such trial, it did not come to its end, or it breaks a constraint.
    """
    row = next((row for row in study.rows if row.id == trial), None)
    if row is None:
        near = get_close_matches(trial, [row.id for row in study.rows], n=1)
        hint = f"did you mean {near[0]}?" if near else f"pdsearch show {study.name} lists them"
        raise ConfigError("no such trial has ended", where=trial, hint=hint)
    state, reason = study.aims.verdict(row.state, measured(row))
    if state != "complete":
        why = f": {reason or row.reason}" if reason or row.reason else ""
        raise ConfigError(
            f"is {state}{why}", where=trial, hint="name a trial that is complete and keeps all constraints"
        )
    listed = next(
        (line for line in ranking.rows if line.confirmed and line.best.setting == row.setting), None
    )
    if listed is not None:
        return replace(listed, best=row)
    return unique_labels([_unconfirmed([row], study.aims)])[0]


def _full_trials(rows: Iterable[Row], trials: Mapping[str, Sequence[Row]]) -> dict[str | None, int]:
    """Return the trials that ran to their end by teacher; those of the student alone under None."""
    alone = (row for row in rows if row.kind == "baseline" and row.teacher_config is None)
    return {
        **{teacher: sum(row.state == "complete" for row in found) for teacher, found in trials.items()},
        None: sum(row.state == "complete" for row in alone),
    }


def _values(group: Group, rows: Iterable[Row]) -> dict[str, float]:
    """Return the metrics of a confirmed configuration: means over its students, else those of its search trials."""
    known = group.means()
    accuracies = group.values("val_accuracy").values()
    known |= {VAL_ACCURACY: math.fsum(accuracies) / len(accuracies)} if accuracies else {}
    for row in rows:
        if row.number is not None and row.setting == group.setting and row.state == "complete":
            known = {**measured(row), **known}
    return known


def _best_groups(groups: Iterable[Group], aims: Aims, values: Mapping[str, Values]) -> list[Group]:
    # A teacher may have several confirmed configurations: the one that its own search trials chose, and those in
    # which it is a baseline. Choosing the best of all would favour it over teachers that have one. Where none is
    # marked, the one with the most seeds stands for it, ties broken as among trials. Without validation all are listed.
    found: dict[tuple[str | None, str], Group] = {}

    def strength(group: Group) -> tuple[Any, ...]:
        known = values[group.setting]
        return group.chosen, len(group.rows), aims.feasible(known), aims.merit(known)

    for group in groups:
        place = group.teacher, "" if group.validated else group.setting
        held = found.get(place)
        if held is None or strength(group) > strength(held):
            found[place] = group
    return list(found.values())


def _estimates(best: Sequence[Group], metric: Metric) -> dict[str, Estimate]:
    """Return the means of a metric by setting, with their intervals."""
    samples = {group.setting: group.sample(metric) for group in best}
    known = {setting: sample for setting, sample in samples.items() if sample is not None}
    return {
        setting: estimate for setting, (estimate, _) in zip(known, estimates([*known.values()]), strict=True)
    }


def _confirmed(group: Group, trials: Mapping[str, Sequence[Row]], gains: Mapping[Metric, Families]) -> Ranked:
    row = _searched(trials.get(group.teacher or "", ()), group.first)
    return replace(
        row,
        role=role_of(group.first),
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
        full_trials=sum(row.state == "complete" for row in trials),
        rung=rung,
        rung_of=max((row.epochs_planned for row in at_rung), default=0),
        search_best=max((row.val_accuracy for row in at_rung if row.val_accuracy is not None), default=None),
    )


def _mean(by_seed: Mapping[int | None, float | None]) -> float | None:
    values = [value for value in by_seed.values() if value is not None]
    return math.fsum(values) / len(values) if values else None


def _ordered(best: list[Group], aims: Aims, values: Mapping[str, Values]) -> list[Group]:
    """Return the groups as they are listed: those that break a constraint last, the best first."""

    def place(group: Group) -> tuple[Any, ...]:
        known = values[group.setting]
        tests = group.values("test_accuracy").values()
        order = _worst_first(aims.merit(known)) if group.validated else (-math.fsum(tests) / len(tests),)
        return not aims.feasible(known), *order, group.teacher or "", group.first.id

    return sorted(best, key=place)


def _worst_first(merit: Iterable[float]) -> tuple[float, ...]:
    return tuple(-value for value in merit)
