"""What did a study find, trial by trial? Its folder of records as tidy rows, and as one Parquet file."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pdsearch.analysis.row import Row, row_from_record
from pdsearch.durable import storage_errors
from pdsearch.objectives import Aims
from pdsearch.records import Broken, read_finished
from pdsearch.storage import Place, place
from pdsearch.studies import description

__all__ = ["Study", "read_study", "write_parquet"]


@dataclass(frozen=True)
class Study:
    """A study as its folder tells it.

    Args:
        name: Of the study.
        about: What study.json holds: the space, the data, versions.
        rows: One per finished trial, by id.
        broken: Files that are no records; shown, never hidden.
    """

    name: str
    about: Mapping[str, Any]
    rows: tuple[Row, ...]
    broken: tuple[Broken, ...] = ()

    @property
    def aims(self) -> Aims:
        """The objectives and constraints it was searched with."""
        space = self.about.get("space")
        return Aims.of(space) if isinstance(space, Mapping) else Aims()


def read_study(folder: str | Place) -> Study:
    """Read a study's folder, in place or copied.

    Raises:
        ConfigError: The folder is no study's.
        StorageError: It cannot be read.
    """
    folder = place(folder)
    about = description(folder)
    aims = Aims.of(about["space"])
    records = read_finished(folder / "trials", about["space"])
    rows = sorted(
        (row_from_record(record, aims) for record in records.found.values()), key=lambda row: row.id
    )
    return Study(about["study"], about, tuple(rows), records.broken)


def write_parquet(rows: Sequence[Row], path: Path) -> None:
    """Write rows as one Parquet file (columns: docs/results_schema.md), replacing an older one whole.

    Raises:
        StorageError: The file cannot be written.
    """
    # pyarrow is slow to import, and nothing else here needs it.
    import pyarrow
    import pyarrow.parquet

    kinds = {"str": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64()}
    fields = [pyarrow.field(name, kinds[kind], nullable) for name, kind, nullable, _ in columns()]
    table = pyarrow.Table.from_pylist([dataclasses.asdict(row) for row in rows], pyarrow.schema(fields))
    draft = path.with_name(f".{path.name}.tmp")
    with storage_errors(path):
        try:
            pyarrow.parquet.write_table(table, draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def columns() -> list[tuple[str, str, bool, str]]:
    """Return (name, type, may be null, meaning) of every column."""
    hints = get_type_hints(Row)
    found = []
    for item in dataclasses.fields(Row):
        kinds = [kind.__name__ for kind in getattr(hints[item.name], "__args__", (hints[item.name],))]
        found.append((item.name, kinds[0], "NoneType" in kinds, item.metadata["doc"]))
    return found
