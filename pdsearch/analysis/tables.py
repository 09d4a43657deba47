"""Output of rankings and fronts: tables of text, markdown, CSV, JSON."""

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from pdsearch.analysis.pareto import Front
from pdsearch.analysis.ranked import QUESTIONS, Ranked, Ranking
from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.study_table import Row

SMALLEST = 0.5e-4
"""Half-widths of intervals below this would be displayed as zero."""


def percent(value: float | None, *, signed: bool = False) -> str:
    """Return a share in per cent with two decimals, a dash for None."""
    return "-" if value is None else f"{100 * value:+.2f}" if signed else f"{100 * value:.2f}"


def show_estimate(estimate: Estimate | None) -> str:
    """Return a mean in per cent, with half its interval where there is one: "72.00 ± 4.97", "10.00 (all equal)"."""
    if estimate is None:
        return "-"
    half = estimate.half_width
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


def _equal(estimate: Estimate) -> str:
    return " (all equal)" if estimate.all_equal else ""


@dataclass(frozen=True)
class Table:
    """A table of text cells, ready for output.

    Args:
        title: Title above the table.
        columns: Column headings.
        numeric: Whether each column is numeric, to be aligned right.
        rows: Cells by line and column.
        footer: Sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    footer: tuple[str, ...]


def split(table: Table, counts: Sequence[int]) -> list[Table]:
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


def _best_gain(row: Ranked, question: str) -> str:
    return show_gain(row.gain(question))


def _status(row: Ranked) -> str:
    if row.confirmed and row.teacher_seeds > 1:
        return f"{row.teacher_seeds} teachers x {row.seeds // row.teacher_seeds} seeds"
    if row.confirmed:
        return f"{row.seeds} seed{'s' if row.seeds != 1 else ''}"
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


_Cells: TypeAlias = tuple[tuple[str, bool, Callable[[Ranked], str]], ...]

_MAIN: _Cells = (
    ("rank", True, lambda row: str(row.rank or "-")),
    ("teacher", False, lambda row: row.label),
    ("vs unpruned, same", True, lambda row: _best_gain(row, "unpruned_same")),
    ("student test %", True, _test),
    ("student val %", True, _val),
    ("confirmed by", False, _status),
    ("vs unpruned, its best", True, lambda row: _best_gain(row, "unpruned_best")),
    ("vs alone", True, lambda row: _best_gain(row, "alone")),
)
_ABOUT: _Cells = (
    ("teacher val/test %", True, lambda row: f"{percent(row.teacher_val)}/{percent(row.teacher_test)}"),
    ("trials, full (epochs)", True, _trials),
)
_FURTHER: tuple[tuple[str, str], ...] = (
    ("control", "vs trained as long"),
    ("alone_best", "vs alone, its best"),
)
"""Questions whose columns are shown if any line answers them: a control, or the student alone's own recipe."""

_DETAIL: _Cells = (
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
    further: _Cells = tuple(
        (name, True, partial(_best_gain, question=question))
        for question, name in _FURTHER
        if any(row.gain(question) for row in ranking.rows)
    )
    shown = _MAIN + further + _ABOUT + (_DETAIL if detail else ())
    names, numeric, cells = zip(*shown, strict=True)
    rows = tuple(tuple(cell(row) for cell in cells) for row in ranking.rows)
    footer = (*ranking.footer, *_gain_note(ranking))
    return Table(f"Teachers of {ranking.study}, by their students", names, numeric, rows, footer)


def by_student(ranking: Ranking, *, detail: bool = False) -> list[Table]:
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


def as_markdown(ranking: Ranking) -> str:
    """Return a ranking as a markdown table with its footer as a list, and its front below."""
    fronts = [front_as_table(ranking.front)] if ranking.front else []
    return "\n".join(map(markdown, [*by_student(ranking, detail=True), *fronts]))


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


def as_json(ranking: Ranking) -> str:
    """Return a ranking as JSON: every number, nested, shares in [0, 1]."""
    value = {
        "format": 1,
        "study": ranking.study,
        "questions": dict(QUESTIONS),
        "rows": [as_plain(row) for row in ranking.rows],
        "leader": dataclasses.asdict(ranking.leader) if ranking.leader else None,
        "leaders": [dataclasses.asdict(leader) for leader in ranking.leaders],
        "front": _front_plain(ranking.front) if ranking.front else None,
        "footer": list(ranking.footer),
    }
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def as_plain(row: Ranked) -> dict[str, object]:
    """Return one line of a ranking as plain JSON values."""
    value = dataclasses.asdict(row)
    best = value.pop("best")
    best.pop("test_right")
    for name in ("params", "values", "spec"):
        best[name] = json.loads(best[name])
    return {"rank": value.pop("rank"), "confirmed": row.confirmed, **value, "best": best}


def as_csv(ranking: Ranking) -> str:
    """Return a ranking as CSV: one line per teacher, shares in [0, 1], empty cells where there is no value."""
    rows = [_flat(row) for row in ranking.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]) if rows else ["rank", "label"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _flat(row: Ranked) -> dict[str, object]:
    plain = (
        "rank",
        "label",
        "role",
        "student",
        "confirmed",
        "seeds",
        "teacher_seeds",
        "trials",
        "full_trials",
        "rung",
        "rung_of",
        "search_best",
    )
    best = (
        "teacher_config",
        "teacher_model",
        "prune_method",
        "prune_ratio",
        "teacher_sparsity",
        "prune_rounds",
    )
    student = ("student_model", "student_params", "student_flops", "key")
    flat = {name: getattr(row, name) for name in plain}
    flat |= {name: getattr(row.best, name) for name in (*best, *student)}
    flat |= {"broken": row.broken, "teacher_val": row.teacher_val, "teacher_test": row.teacher_test}
    flat |= {**_flat_estimate("val", row.val), **_flat_estimate("test", row.test)}
    for metric, gains in (("val", row.gains_val), ("test", row.gains_test)):
        for question in QUESTIONS:
            gain = gains.get(question)
            flat |= _flat_estimate(f"gain_{metric}_{question}", gain.estimate if gain else None)
            flat[f"gain_{metric}_{question}_p_holm"] = gain.p_holm if gain else None
            flat[f"gain_{metric}_{question}_mark"] = gain.mark if gain else None
            flat[f"gain_{metric}_{question}_better"] = gain.better.mean if gain and gain.better else None
    return flat


def _flat_estimate(name: str, estimate: Estimate | None) -> dict[str, object]:
    values = (estimate.n, estimate.mean, estimate.low, estimate.high) if estimate else (None,) * 4
    return {f"{name}_{part}": value for part, value in zip(("n", "mean", "low", "high"), values, strict=True)}


def front_as_table(found: Front) -> Table:
    """Return a front as a table of text cells; what is confirmed stands beside what one student reached."""
    metrics = [metric for metric, _ in found.objectives]
    shown = ("seeds", "val %", "test %") if found.confirmed else ()
    columns = ("trial", *(f"{metric} ({goal})" for metric, goal in found.objectives))
    rows = []
    for row in found.rows:
        values, fresh = json.loads(row.values), found.confirmed.get(row.id)
        cells = (
            [str(fresh.seeds), show_estimate(fresh.val), show_estimate(fresh.test)] if fresh else ["-"] * 3
        )
        reached = (f"{values[metric]:.6g}" for metric in metrics)
        rows.append((row.id, *reached, *cells[: len(shown)], row.params))
    return Table(
        f"Trials of {found.study} that none beats",
        (*columns, *(f"confirmed {name}" for name in shown), "parameters"),
        (False, *(True for _ in (*metrics, *shown)), False),
        tuple(rows),
        tuple(_front_notes(found)),
    )


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
        yield f"{len(found.left_out)} complete trial(s) lack an objective and were left out."


def front_as_markdown(found: Front) -> str:
    """Return a front as a markdown table."""
    return markdown(front_as_table(found))


def _front_plain(found: Front) -> dict[str, object]:
    return {
        "study": found.study,
        "objectives": [{"metric": metric, "goal": goal} for metric, goal in found.objectives],
        "rows": [
            {**_plain(found, row), "params": json.loads(row.params), "confirmed": _fresh(found, row)}
            for row in found.rows
        ],
        "left_out": [row.id for row in found.left_out],
    }


def front_as_json(found: Front) -> str:
    """Return a front as JSON: values in full, parameters nested."""
    value = {"format": 1, **_front_plain(found)}
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def front_as_csv(found: Front) -> str:
    """Return a front as CSV: one line per trial, its parameters as JSON."""
    flat = [
        {
            **_plain(found, row),
            **_flat_estimate("confirmed_val", fresh.val if fresh else None),
            **_flat_estimate("confirmed_test", fresh.test if fresh else None),
            "params": row.params,
        }
        for row in found.rows
        for fresh in [found.confirmed.get(row.id)]
    ]
    names = list(flat[0]) if flat else ["trial", "key"]
    file = io.StringIO()
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()


def _fresh(found: Front, row: Row) -> dict[str, Any] | None:
    return dataclasses.asdict(found.confirmed[row.id]) if row.id in found.confirmed else None


def _plain(found: Front, row: Row) -> dict[str, Any]:
    values = json.loads(row.values)
    return {"trial": row.id, "key": row.key, **{metric: values[metric] for metric, _ in found.objectives}}
