"""Forms that are written to files and read by programs: rankings and fronts as Markdown, CSV, JSON, trials as Arrow."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from pdsearch.analysis.pareto import Front
from pdsearch.analysis.ranked import QUESTIONS, Ranked, Ranking
from pdsearch.analysis.statistics import Estimate
from pdsearch.analysis.study_table import COLUMNS, Row, StudyTable, searched_values
from pdsearch.analysis.tables import front_as_table, markdown, tables_by_student
from pdsearch.io.durable import write_whole
from pdsearch.records.codec import encode
from pdsearch.records.study_record import SearchedParameter
from pdsearch.specs import Json

if TYPE_CHECKING:
    import pyarrow


def as_markdown(ranking: Ranking) -> str:
    """Return a ranking as a markdown table with its footer as a list, and its front below."""
    fronts = [front_as_table(ranking.front)] if ranking.front else []
    return "\n".join(map(markdown, [*tables_by_student(ranking, detail=True), *fronts]))


def as_json(ranking: Ranking) -> str:
    """Return a ranking as JSON: every number, nested, shares in [0, 1]."""
    value = {
        "format": 1,
        "study": ranking.study,
        "questions": dict(QUESTIONS),
        "rows": [as_plain(row) for row in ranking.rows],
        "leader": encode(ranking.leader),
        "leaders": encode(ranking.leaders),
        "front": _front_plain(ranking.front) if ranking.front else None,
        "footer": list(ranking.footer),
    }
    return _dumped(value)


def as_plain(row: Ranked) -> dict[str, object]:
    """Return one line of a ranking as plain JSON values."""
    best = row.best.cells()
    del best["test_right"]
    best |= {name: json.loads(getattr(row.best, name)) for name in ("params", "values", "spec")}
    own = {
        f.name: encode(getattr(row, f.name))
        for f in dataclasses.fields(row)
        if f.name not in ("rank", "best")
    }
    return {"rank": row.rank, "confirmed": row.confirmed, **own, "best": best}


def _flat_estimate(name: str, estimate: Estimate | None) -> dict[str, object]:
    values = (estimate.n, estimate.mean, estimate.low, estimate.high) if estimate else (None,) * 4
    return {f"{name}_{part}": value for part, value in zip(("n", "mean", "low", "high"), values, strict=True)}


def front_as_markdown(found: Front) -> str:
    """Return a front as a markdown table."""
    return markdown(front_as_table(found))


def _front_plain(found: Front) -> dict[str, object]:
    return {
        "study": found.study,
        "objectives": [{"metric": metric, "goal": goal} for metric, goal in found.objectives],
        "rows": [
            {
                **_plain(found, row),
                "params": json.loads(row.params),
                "confirmed": encode(found.confirmed.get(row.id)),
            }
            for row in found.rows
        ],
        "left_out": [row.id for row in found.left_out],
    }


def front_as_json(found: Front) -> str:
    """Return a front as JSON: values in full, parameters nested."""
    value = {"format": 1, **_front_plain(found)}
    return _dumped(value)


def _plain(found: Front, row: Row) -> dict[str, Json]:
    reached = {metric: row.record.values[metric] for metric, _ in found.objectives}
    return {"trial": row.id, "key": row.key, **reached}


def as_csv(ranking: Ranking) -> str:
    """Return a ranking as CSV: one line per teacher, shares in [0, 1], empty cells where there is no value."""
    return _csv([_flat(row) for row in ranking.rows], ("rank", "label"))


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
    return _csv(flat, ("trial", "key"))


def _csv(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> str:
    """Return lines with the columns of the first; those named where there is none."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]) if rows else names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


_LINE = "rank label role student confirmed seeds teacher_seeds trials full_trials rung rung_of search_best"
_BEST = (
    "teacher_config teacher_model prune_method prune_ratio teacher_sparsity prune_rounds"
    " student_model student_params student_flops key"
)
"""Columns of a line, and of the trial that represents it."""


def _flat(row: Ranked) -> dict[str, object]:
    flat = {name: getattr(row, name) for name in _LINE.split()}
    flat |= {name: getattr(row.best, name) for name in _BEST.split()}
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


def _dumped(value: object) -> str:
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


EPOCH_COLUMNS: Mapping[str, tuple[str, bool, str]] = {
    "id": ("str", False, "Name of the record, as in results.parquet."),
    "kind": ("str", False, "`search`, `baseline` or `confirm`."),
    "epoch": ("int", False, "Epoch of distillation, from 1."),
    "epochs": ("int", False, "Epochs planned."),
    "val_accuracy": ("float", True, "Validation accuracy of the student after it, in [0, 1]."),
    "loss": ("float", False, "Mean loss over the epoch, in nats."),
}
"""Column of the table of epochs -> type, nullable, description."""


def as_arrow(study: StudyTable) -> "pyarrow.Table":
    """Return a study's trials as an Arrow table: the columns of `Row`, then one for each searched parameter.

    A parameter's column has its dotted name, and the type of its values: string, int64, float64 or bool; a choice that
    is a list is its JSON text. docs/results_schema.md has the columns.
    """
    import pyarrow  # slow to import, and nothing else here needs it

    searched = study.about.space.searched
    fields = [
        pyarrow.field(name, _types()[kind], nullable)
        for name, kind, nullable, _ in [
            *row_columns(),
            *((n, _type(p), True, "") for n, p in searched.items()),
        ]
    ]
    texts = {name for name, parameter in searched.items() if _type(parameter) == "str"}
    rows = [row.cells() | _typed(searched_values(row, searched), texts) for row in study.rows]
    return pyarrow.Table.from_pylist(rows, pyarrow.schema(fields))


def _typed(values: Mapping[str, Json], texts: set[str]) -> dict[str, Json]:
    return {
        name: json.dumps(value)
        if name in texts and value is not None and not isinstance(value, str)
        else value
        for name, value in values.items()
    }


def _type(parameter: SearchedParameter) -> str:
    values = parameter.choices or (parameter.low, parameter.high)
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int"
    return "float" if kinds <= {int, float} else "str"


def _types() -> dict[str, object]:
    import pyarrow

    return {
        "str": pyarrow.string(),
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
    }


def epochs_as_arrow(study: StudyTable) -> "pyarrow.Table":
    """Return all reports of a study's trials as an Arrow table, one row an epoch (`EPOCH_COLUMNS`)."""
    import pyarrow

    fields = [pyarrow.field(name, _types()[kind], null) for name, (kind, null, _) in EPOCH_COLUMNS.items()]
    rows = [
        {"id": row.id, "kind": row.kind, **dataclasses.asdict(report)}
        for row in study.rows
        for report in row.record.reports
    ]
    return pyarrow.Table.from_pylist(rows, pyarrow.schema(fields))


def write_parquet(table: "pyarrow.Table", path: Path) -> None:
    """Write a table as one Parquet file, replacing an older one atomically.

    Raises:
        StorageError: The file cannot be written.
    """
    import pyarrow.parquet

    content = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, content)
    write_whole(path, content.getvalue().to_pybytes())


def row_columns() -> list[tuple[str, str, bool, str]]:
    """Return (name, type, nullable, description) of every column of `Row`."""
    hints = get_type_hints(Row)
    found = []
    for name, about in COLUMNS.items():
        kinds = [kind.__name__ for kind in getattr(hints[name], "__args__", (hints[name],))]
        found.append((name, kinds[0], "NoneType" in kinds, about["doc"]))
    return found
