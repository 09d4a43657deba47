"""Rankings and fronts as tables of text, for screens, pages and Markdown."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from pdsearch.analysis.display_names import several
from pdsearch.analysis.pareto import Front
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.statistics import Estimate, Gain

SMALLEST = 0.5e-4
"""Half-widths of intervals below this would be displayed as zero."""


def percent(value: float | None, *, signed: bool = False) -> str:
    """Return a share in per cent with two decimals, a dash for None."""
    return "-" if value is None else f"{100 * value:+.2f}" if signed else f"{100 * value:.2f}"


def show_estimate(estimate: Estimate | None) -> str:
    """Return a mean in per cent, with half its interval where there is one: "72.00 ± 4.97", "10.00 (all equal)".

    One whose interval ends at 0 or 100 is shown with both ends: "99.50 [96.10, 100.00]".
    """
    if estimate is None:
        return "-"
    half = estimate.half_width
    if estimate.one_sided:
        return f"{percent(estimate.mean)} [{percent(estimate.low)}, {percent(estimate.high)}]"
    if half is None:
        return percent(estimate.mean) + _equal(estimate)
    return f"{percent(estimate.mean)} ± {percent(half) if half >= SMALLEST else '<0.01'}"


def show_gain(gain: Gain | None) -> str:
    """Return a gain in points with its mark and its interval: "+1.20* [+0.40, +2.00]"."""
    if gain is None:
        return "-"
    estimate, mark = gain.estimate, gain.mark
    mean = percent(estimate.mean, signed=True)
    if estimate.low is None:
        return mean + _equal(estimate)
    return f"{mean}{mark} [{percent(estimate.low, signed=True)}, {percent(estimate.high, signed=True)}]"


def chance(gain: Gain | None) -> str:
    """Return the probability of improvement in per cent with its interval: "72 [39, 92]"."""
    if gain is None or gain.better is None:
        return "-"
    better = gain.better
    mean, low, high = (
        "-" if value is None else f"{100 * value:.0f}" for value in (better.mean, better.low, better.high)
    )
    return mean if better.low is None else f"{mean} [{low}, {high}]"


def _equal(estimate: Estimate) -> str:
    return " (all equal)" if estimate.all_equal else ""


@dataclass(frozen=True)
class Table:
    """A table of text cells, ready for output."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...]


T = TypeVar("T")
Cells: TypeAlias = Sequence[tuple[str, bool, Callable[[T], str]]]
"""Of each column: its heading, whether it is numeric, and the text of an item."""


def tabulate(title: str, cells: Cells[T], items: Iterable[T], footer: Iterable[str] = ()) -> Table:
    """Return a table of items, a line each."""
    names, numeric, texts = zip(*cells, strict=True)
    rows = tuple(tuple(text(item) for text in texts) for item in items)
    return Table(title, names, numeric, rows, tuple(footer))


def split_columns(table: Table, counts: Sequence[int]) -> list[Table]:
    """Return a table in parts, each with the first two columns and the next so many of the others.

    Args:
        table: The table.
        counts: How many columns each part has besides the first two; parts without one are left out.
    """
    parts, begin = [], 2
    for count in counts:
        kept = [0, 1, *range(begin, min(begin + count, len(table.columns)))]
        begin += count
        if len(kept) > 2:
            names = tuple(table.columns[place] for place in kept)
            numeric = tuple(table.numeric[place] for place in kept)
            rows = tuple(tuple(cells[place] for place in kept) for cells in table.rows)
            parts.append(Table(table.title, names, numeric, rows, table.footer))
    return parts


def _gain(question: str) -> Callable[[Ranked], str]:
    return lambda row: show_gain(row.gain(question))


def _status(row: Ranked) -> str:
    if row.confirmed and row.teacher_seeds > 1:
        return f"{row.teacher_seeds} teachers x {row.seeds // row.teacher_seeds} seeds"
    if row.confirmed:
        return several(row.seeds, "seed")
    return "unconfirmed"


def _val(row: Ranked) -> str:
    if row.confirmed:
        return show_estimate(row.val)
    return percent(row.best.val_accuracy) if row.once else f"best {percent(row.search_best)}"


def _test(row: Ranked) -> str:
    return percent(row.best.test_accuracy) if row.once else show_estimate(row.test)


def _trials(row: Ranked) -> str:
    return (
        f"{row.trials}, {row.full_trials} ({row.rung}/{row.rung_of})"
        if row.trials
        else str(row.full_trials or "-")
    )


_MAIN: Cells[Ranked] = (
    ("rank", True, lambda row: str(row.rank or "-")),
    ("teacher", False, lambda row: row.label),
    ("vs unpruned, same", True, _gain("unpruned_same")),
    ("student test %", True, _test),
    ("student val %", True, _val),
    ("confirmed by", False, _status),
    ("vs unpruned, its best", True, _gain("unpruned_best")),
    ("vs alone", True, _gain("alone")),
)
_ABOUT: Cells[Ranked] = (
    ("teacher val/test %", True, lambda row: f"{percent(row.teacher_val)}/{percent(row.teacher_test)}"),
    ("trials, full (epochs)", True, _trials),
)
_FURTHER: tuple[tuple[str, str], ...] = (
    ("control", "vs trained as long"),
    ("alone_best", "vs alone, its best"),
)
"""Questions whose columns are shown if any line answers them: a control, or the student alone's own recipe."""

_DETAIL: Cells[Ranked] = (
    ("better than unpruned, same %", True, lambda row: chance(row.gain("unpruned_same"))),
    ("better than alone %", True, lambda row: chance(row.gain("alone"))),
    ("sparsity %", True, lambda row: percent(row.best.teacher_sparsity)),
    ("rounds", True, lambda row: str(row.best.prune_rounds or "-")),
    ("teacher weights left", True, lambda row: _count(row.best.teacher_remaining)),
    ("student", False, lambda row: row.best.student_model or "-"),
    ("student weights", True, lambda row: _count(row.best.student_params)),
)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def as_table(ranking: Ranking, *, detail: bool = False) -> Table:
    """Return a ranking as a table of text cells; accuracies and gains in per cent.

    Args:
        ranking: The ranking.
        detail: Whether to add columns that describe teachers and students, too wide for most screens.
    """
    further = (
        (name, True, _gain(question))
        for question, name in _FURTHER
        if any(row.gain(question) for row in ranking.rows)
    )
    shown = (*_MAIN, *further, *_ABOUT, *(_DETAIL if detail else ()))
    footer = (*ranking.footer, *_gain_note(ranking))
    return tabulate(f"Teachers of {ranking.study}, by their students", shown, ranking.rows, footer)


def tables_by_student(ranking: Ranking, *, detail: bool = False) -> list[Table]:
    """Return a ranking as a table for each kind of student, the footer below the last; see `as_table`."""
    students = list(dict.fromkeys(row.student for row in ranking.rows))
    if len(students) < 2:
        return [as_table(ranking, detail=detail)]
    whole, found = as_table(ranking, detail=detail), []
    for student in students:
        lines = [row for row in ranking.rows if row.student == student]
        alike = tuple(replace(row, label=_without_student(row)) for row in lines)
        part = as_table(replace(ranking, rows=alike), detail=detail)
        found.append(replace(part, title=f"Students {student}: the teachers of {ranking.study}", footer=()))
    return [*found[:-1], replace(found[-1], footer=whole.footer)]


def _without_student(row: Ranked) -> str:
    return "student alone" if row.role == "alone" else row.label.removesuffix(f" -> {row.student}")


def _gain_note(ranking: Ranking) -> Iterator[str]:
    tested = any(gain for row in ranking.rows for gain in row.gains_test.values())
    if tested or any(gain for row in ranking.rows for gain in row.gains_val.values()):
        yield f"Gains are in points of {'test' if tested else 'validation'} accuracy."


def markdown(table: Table) -> str:
    """Return a table in markdown, its footer as a list below."""
    footer = [f"- {escaped(sentence)}" for sentence in table.footer]
    return (
        "\n".join([f"## {table.title}", "", *markdown_lines(table), *(["", *footer] if footer else [])])
        + "\n"
    )


def markdown_lines(table: Table) -> list[str]:
    """Return the lines of a table in markdown."""
    rule = ["---:" if numeric else "---" for numeric in table.numeric]
    return [
        "| " + " | ".join(escaped(cell) for cell in cells) + " |"
        for cells in (table.columns, rule, *table.rows)
    ]


def escaped(cell: str) -> str:
    """Return a text that markdown shows as it is, on one line."""
    return (
        cell.replace("\\", "\\\\")
        .replace("|", "\\|")
        .replace("\n", " ")
        .replace("*", "\\*")
        .replace("<", "&lt;")
    )


def front_as_table(found: Front) -> Table:
    """Return a front as a table of text cells; what is confirmed stands beside what one student reached."""
    metrics = [metric for metric, _ in found.objectives]
    shown = ("seeds", "val %", "test %") if found.confirmed else ()
    columns = ("trial", *(f"{metric} ({goal})" for metric, goal in found.objectives))
    rows = []
    for row in found.rows:
        values, fresh = row.record.values, found.confirmed.get(row.id)
        cells = (
            [str(fresh.seeds), show_estimate(fresh.val), show_estimate(fresh.test)] if fresh else ["-"] * 3
        )
        reached = (f"{values[metric]:.6g}" for metric in metrics)
        sampled = (f"{name} {_short(value)}" for name, value in json.loads(row.params).items())
        rows.append((row.id, *reached, *cells[: len(shown)], ", ".join(sampled)))
    return Table(
        f"Trials of {found.study} that none beats",
        (*columns, *(f"confirmed {name}" for name in shown), "parameters"),
        (False, *(True for _ in (*metrics, *shown)), False),
        tuple(rows),
        tuple(_front_notes(found)),
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _front_notes(found: Front) -> Iterator[str]:
    one = "The objectives are those of one student each, chosen as the best of many"
    if found.confirmed:
        yield f"{one}; confirmed are means of students with fresh seeds, with 95 % intervals."
        beaten = [name for name, fresh in found.confirmed.items() if not fresh.stands]
        if beaten:
            yield f"By their confirmed means, another confirmed member beats {', '.join(beaten)}."
    else:
        yield f"{one}: none is confirmed."
    yield "pdsearch export STUDY --trial TRIAL writes any of them."
    if found.left_out:
        lack = "lacks an objective and was" if len(found.left_out) == 1 else "lack an objective and were"
        yield f"{several(len(found.left_out), 'complete trial')} {lack} left out."
