"""Ranking of teachers by the validation accuracy of their students."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TypeAlias

from pdsearch.analysis.display_names import unique_labels
from pdsearch.analysis.footnotes import footer, never_tried
from pdsearch.analysis.gains import Compared, Families, all_gains
from pdsearch.analysis.groups import (
    METRICS,
    Group,
    Line,
    Metric,
    confirmed_groups,
    means_of,
    role_of,
    search_trials,
)
from pdsearch.analysis.pareto import pareto_front
from pdsearch.analysis.ranked import QUESTIONS, Ranked, Ranking
from pdsearch.analysis.study_table import Row, StudyTable
from pdsearch.analysis.verdict import verdict
from pdsearch.errors import ConfigError
from pdsearch.objectives import VAL_ACCURACY, Aims
from pdsearch.records.students import alike

Values: TypeAlias = Mapping[str, float]


def rank_teachers(study: StudyTable) -> Ranking:
    """Rank a study's teachers; the result does not depend on the order of its records.

    Students of different size or architecture are ranked with their like, each a rank 1 (`students.alike`). Confirmed
    teachers come first, ordered by the mean of the study's first objective over their students, usually the
    validation accuracy (never test); then unconfirmed ones by the epochs their trials reached and their best trial
    there. Trials that break a constraint are left out; a confirmed teacher whose students' mean breaks one is listed
    below the other confirmed ones, without a rank. Without validation images nothing is selected: each configuration is
    a line without a rank, sorted by test accuracy, highest first.
    """
    aims = study.aims
    groups, trials = confirmed_groups(study.rows), search_trials(study.rows, aims)
    values = {group.setting: _values(group, study.rows) for group in groups}
    best = _ordered(_best_groups(groups, trials, aims, values), aims, values)
    broken = {group.setting: aims.verdict("complete", values[group.setting])[1] for group in best}
    ranked: dict[str, list[Group]] = defaultdict(list)
    for group in best:
        if group.teacher is not None and group.validated and broken[group.setting] is None:
            ranked[group.student].append(group)
    compared = Compared(best, groups, ranked, _full_trials(study.rows, trials), aims)
    gains = {metric: all_gains(compared, metric) for metric in METRICS}
    means = {metric: means_of(best, metric) for metric in METRICS}
    tried = Counter(group.line for group in groups)
    places = {group.setting: place for lines in ranked.values() for place, group in enumerate(lines, start=1)}
    families = {metric: found for metric, (found, _) in gains.items()}
    confirmed = [
        replace(
            _confirmed(group, trials, families),
            rank=places.get(group.setting),
            val=means["val_accuracy"].get(group.setting),
            test=means["test_accuracy"].get(group.setting),
            full_trials=compared.trials.get(group.line, 0),
            settings=tried[group.line],
            broken=broken[group.setting],
        )
        for group in best
    ]
    seen = {group.line for group in best}
    waiting = [_unconfirmed(rows, aims, line[1]) for line, rows in trials.items() if line not in seen]
    waiting.sort(key=lambda row: row.best.id)
    waiting.sort(key=lambda row: aims.standing(row.rung, row.best.record.values), reverse=True)
    lines = [*confirmed, *waiting]
    rows = unique_labels(lines, several=len({line.student for line in lines}) > 1)
    corrected = {metric: found for metric, (_, found) in gains.items()}
    leaders = tuple(found for student in ranked if (found := verdict(rows, student, corrected, aims)))
    several = pareto_front(study) if len(aims.objectives) > 1 else None
    return Ranking(study.name, rows, footer(study, rows, leaders), leaders, never_tried(study), several)


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
    state, reason = study.aims.verdict(row.state, row.record.values)
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
    student = alike(row.student for row in study.rows)[row.student]
    several = any(line.student != student for line in ranking.rows)
    return unique_labels([_unconfirmed([row], study.aims, student)], several=several)[0]


def _full_trials(rows: Sequence[Row], trials: Mapping[Line, Sequence[Row]]) -> Counter[Line]:
    """Return the number of trials of each line that ran to their end."""
    likes = alike(row.student for row in rows)
    alone = (row for row in rows if row.kind == "baseline" and row.teacher_config is None)
    found = Counter((None, likes[row.student]) for row in alone if row.state == "complete")
    return (
        Counter({line: sum(row.state == "complete" for row in tried) for line, tried in trials.items()})
        + found
    )


def _values(group: Group, rows: Iterable[Row]) -> dict[str, float]:
    """Return the metrics of a confirmed configuration: means over its students, else those of its search trials."""
    known = group.means()
    accuracy = group.mean("val_accuracy")
    known |= {} if accuracy is None else {VAL_ACCURACY: accuracy}
    for row in rows:
        if row.number is not None and row.setting == group.setting and row.state == "complete":
            known = {**row.record.values, **known}
    return known


def _best_groups(
    groups: Iterable[Group], trials: Mapping[Line, Sequence[Row]], aims: Aims, values: Mapping[str, Values]
) -> list[Group]:
    # Several configurations of a line may be confirmed: the one that its own trials chose, those in which it is a
    # baseline, members of a front. Choosing the best of all would favour it over lines that have one. Where none is
    # known to be chosen, the one with the most seeds stands for it, ties broken as among trials. Without validation all
    # are listed.
    found: dict[tuple[Line, str], Group] = {}
    chosen = {line: _leading(tried, aims).setting for line, tried in trials.items()}

    def strength(group: Group) -> tuple[bool, bool, int, bool, tuple[float, ...]]:
        known, own = values[group.setting], group.setting == chosen.get(group.line)
        return group.chosen, own, len(group.rows), aims.feasible(known), aims.merit(known)

    for group in groups:
        place = group.line, "" if group.validated else group.setting
        held = found.get(place)
        if held is None or strength(group) > strength(held):
            found[place] = group
    return list(found.values())


def _leading(trials: Iterable[Row], aims: Aims) -> Row:
    """Return the best trial of those that reached most epochs, as the finalists are chosen; the first of equals."""
    return max(
        sorted(trials, key=lambda row: (row.kind != "search", row.id)),
        key=lambda row: aims.standing(row.epochs, row.record.values),
    )


def _confirmed(
    group: Group, trials: Mapping[Line, Sequence[Row]], gains: Mapping[Metric, Families]
) -> Ranked:
    row = _searched(trials.get(group.line, ()), group.first, group.student)
    return replace(
        row,
        role=role_of(group.first),
        teacher_val=_mean({row.teacher_seed: row.teacher_val_accuracy for row in group.rows.values()}),
        teacher_test=_mean({row.teacher_seed: row.teacher_test_accuracy for row in group.rows.values()}),
        seeds=len(group.counted),
        teacher_seeds=len({teacher for teacher, _ in group.counted}),
        gains_val={question: gains["val_accuracy"][question].get(group.setting) for question in QUESTIONS},
        gains_test={question: gains["test_accuracy"][question].get(group.setting) for question in QUESTIONS},
    )


def _unconfirmed(trials: Sequence[Row], aims: Aims, student: str) -> Ranked:
    best = _leading(trials, aims)
    values = {row.teacher_seed: row.teacher_val_accuracy for row in trials}
    return replace(_searched(trials, best, student), role=role_of(best), teacher_val=_mean(values))


def _searched(trials: Sequence[Row], best: Row, student: str) -> Ranked:
    rung = max((row.epochs for row in trials), default=0)
    at_rung = [row for row in trials if row.epochs == rung]
    return Ranked(
        role="teacher",
        label="",
        student=student,
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
    """Return the groups as they are listed: student by student, those that break a constraint last, the best first.

    Students that pruned teachers were confirmed with come before others.
    """

    def place(group: Group) -> tuple[bool, tuple[float, ...], str, str]:
        known = values[group.setting]
        merit = aims.merit(known) if group.validated else (group.mean("test_accuracy") or 0.0,)
        return not aims.feasible(known), tuple(-value for value in merit), group.teacher or "", group.first.id

    found = sorted(best, key=place)
    taught = [group for group in found if group.teacher]
    pruned = [group for group in taught if role_of(group.first) == "teacher"]
    students = dict.fromkeys(group.student for group in (*_of_students(taught, pruned), *taught, *found))
    order = {student: number for number, student in enumerate(students)}
    return sorted(found, key=lambda group: order[group.student] if group.validated else 0)


def _of_students(groups: Iterable[Group], others: Iterable[Group]) -> Iterator[Group]:
    students = {group.student for group in others}
    return (group for group in groups if group.student in students)
