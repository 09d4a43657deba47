"""A table of whole real trials, epoch by epoch, recorded once, that replays look up.

A point that a searcher asks for becomes one of the nearest trials of the same choices: the same teacher, and the least
distances over the continuous parameters, each on the scale of its range. What a replay says was measured, never
interpolated.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pdsearch.config import Parameter, Space, parse

DIGITS = Path(__file__).parent / "data" / "digits_table.parquet"
ABOUT = b"pdsearch.table"

Cell = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """Whole trials of one space.

    Args:
        document: The space file's content.
        points: What each trial was sampled with.
        curves: Validation accuracy in [0, 1] after each epoch, shape (trials, epochs).
        about: Where it comes from: versions, hardware, command, seeds.
    """

    document: Mapping[str, Any]
    points: Sequence[Mapping[str, Any]]
    curves: NDArray[np.float64]
    about: Mapping[str, Any]

    @property
    def best(self) -> float:
        """The best accuracy after the last epoch."""
        return float(self.curves[:, -1].max())

    @property
    def good(self) -> float:
        """The accuracy that the best 1 % of the trials reach: what is to be found, the luckiest left out."""
        return float(np.quantile(self.curves[:, -1], 0.99, method="lower"))

    @property
    def epochs(self) -> int:
        """Of a whole trial."""
        return int(self.curves.shape[1])

    def space(self, storage: Path, **search: Any) -> Space:
        """Return the table's space with another `search` section and storage."""
        return parse({**self.document, "search": search, "storage": str(storage)})

    def nearest(self, params: Mapping[str, Any], count: int) -> list[int]:
        """Return the numbers of so many trials that may stand for a point, nearest first."""
        numbers, places = self._cells[self._cell(params)]
        distances = ((places - self._place(params)) ** 2).sum(axis=1)
        return [int(number) for number in numbers[np.argsort(distances, kind="stable")[:count]]]

    @cached_property
    def _parameters(self) -> tuple[Parameter, ...]:
        return self.space(Path("runs"), trials=1).parameters

    @cached_property
    def _cells(self) -> dict[Cell, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        found: defaultdict[Cell, list[int]] = defaultdict(list)
        for number, point in enumerate(self.points):
            found[self._cell(point)].append(number)
        return {
            cell: (np.array(numbers), np.array([self._place(self.points[n]) for n in numbers]))
            for cell, numbers in found.items()
        }

    def _cell(self, params: Mapping[str, Any]) -> Cell:
        return tuple(params.get(p.name) for p in self._parameters if p.kind == "categorical")

    def _place(self, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return a point's place in its cell, each coordinate in [0, 1]."""
        ranges = [p for p in self._parameters if p.kind != "categorical" and p.name in params]
        return np.array([_share(p, float(params[p.name])) for p in ranges])


def _share(parameter: Parameter, value: float) -> float:
    low, high = float(parameter.low or 0), float(parameter.high or 0)
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def write_table(table: Table, path: Path) -> None:
    """Write a table as Parquet: a column for each parameter, the curves, and the rest as metadata."""
    names = sorted({name for point in table.points for name in point})
    columns: dict[str, Any] = {name: [point.get(name) for point in table.points] for name in names}
    columns["val_accuracy"] = pa.array(
        [[float(v) for v in curve] for curve in table.curves], pa.list_(pa.float32())
    )
    about = json.dumps({"space": table.document, **table.about}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata({ABOUT: about}), path, compression="zstd")


def read_table(path: Path = DIGITS) -> Table:
    """Read a table."""
    read = pq.read_table(path)
    about = json.loads(read.schema.metadata[ABOUT])
    document = about.pop("space")
    rows = read.to_pylist()
    curves = np.array([row.pop("val_accuracy") for row in rows], dtype=np.float64)
    points = [{name: value for name, value in row.items() if value is not None} for row in rows]
    return Table(document, points, curves, about)
