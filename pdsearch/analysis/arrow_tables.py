"""Tables of a study for other tools: its trials with the searched values, and their epochs, as Arrow and Parquet."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from pdsearch.analysis.study_table import COLUMNS, Row, StudyTable
from pdsearch.io.durable import storage_errors
from pdsearch.records.study_record import SearchedParameter
from pdsearch.specs import Json

if TYPE_CHECKING:
    import pyarrow

_RECIPES = {"teacher": "teacher", "recover": "prune", "distill": "distill"}
"""Recipe of a space file -> section of a specification that holds it."""

EPOCH_COLUMNS: Mapping[str, tuple[str, bool, str]] = {
    "id": ("str", False, "Name of the record, as in results.parquet."),
    "kind": ("str", False, "`search`, `baseline` or `confirm`."),
    "epoch": ("int", False, "Epoch of distillation, from 1."),
    "epochs": ("int", False, "Epochs planned."),
    "val_accuracy": ("float", True, "Validation accuracy of the student after it, in [0, 1]."),
    "loss": ("float", False, "Mean loss over the epoch, in nats."),
}
"""Column of the table of epochs -> type, nullable, description."""


def searched_values(row: Row, names: Mapping[str, object]) -> dict[str, Json]:
    """Return the values of a study's searched parameters in one trial, a confirmation or a baseline as well.

    Args:
        row: The trial.
        names: Names of the searched parameters.

    Returns:
        A value for each name; None where the parameter does not count in that trial.
    """
    sampled, spec = json.loads(row.params), json.loads(row.spec)
    return {name: sampled[name] if name in sampled else _value(spec, name) for name in names}


def _value(spec: Mapping[str, Any], name: str) -> Json:
    head, _, field = name.partition(".")
    if head == "train":
        recipe, _, field = field.partition(".")
        found = (spec.get(_RECIPES.get(recipe, "")) or {}).get("recipe")
        return (found or {}).get(field)
    section = spec.get(head)
    if section is None:
        return "none" if name == "prune.method" else None
    group, _, member = field.partition(".")
    value = dict(section[group]).get(member) if member else section.get(field, _part(section, field))
    return None if head == "prune" and group == "recipe" else value


def _part(section: Mapping[str, Any], field: str) -> Json:
    return dict(section.get("params") or ()).get(field)


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

    draft = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        try:
            pyarrow.parquet.write_table(table, draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def row_columns() -> list[tuple[str, str, bool, str]]:
    """Return (name, type, nullable, description) of every column of `Row`."""
    hints = get_type_hints(Row)
    found = []
    for name, about in COLUMNS.items():
        kinds = [kind.__name__ for kind in getattr(hints[name], "__args__", (hints[name],))]
        found.append((name, kinds[0], "NoneType" in kinds, about["doc"]))
    return found
