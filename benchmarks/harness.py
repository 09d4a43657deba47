"""Side-by-side timing of several ways of doing one thing: in turns, in one run; medians and ratios, with JSON."""

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware, versions


@dataclass(frozen=True)
class Target:
    """What a figure must reach; the load decides whether a miss means anything, so nothing fails of it.

    Args:
        what: Of which figure.
        value: What was measured.
        bound: What it must reach.
        at_least: Whether the bound is a least or a greatest value.
    """

    what: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return (
            f"{self.what}: {self.value:.4g} (target {sign} {self.bound:g}: {'met' if self.met else 'missed'})"
        )


@dataclass
class Result:
    """What one benchmark measured.

    Args:
        name: Of the benchmark.
        unit: Of all figures.
        figures: Every single figure by the name of what was measured, in the order of the table.
        baseline: Name of the row that the ratios refer to.
        more_is_better: Whether a ratio is figure over baseline, or baseline over figure.
        settings: What a reader needs to repeat it.
        notes: Single facts beside the table.
        targets: What it must reach.
    """

    name: str
    unit: str
    figures: Mapping[str, Sequence[float]]
    baseline: str
    more_is_better: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    targets: Sequence[Target] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each name: n, median, least, greatest, and the median ratio to the baseline."""
        return [self._row(name, values) for name, values in self.figures.items()]

    def ratio(self, name: str, to: str) -> float:
        """Return the median of the turns' ratios; what slowed one turn down slowed down both."""
        pairs = list(zip(self.figures[name], self.figures[to], strict=False))
        ratios = [_quotient(a, b) if self.more_is_better else _quotient(b, a) for a, b in pairs]
        return statistics.median(ratios)

    def _row(self, name: str, values: Sequence[float]) -> dict[str, Any]:
        return {
            "what": name,
            "n": len(values),
            "median": statistics.median(values),
            "min": min(values),
            "max": max(values),
            "ratio": self.ratio(name, self.baseline),
        }


def _quotient(a: float, b: float) -> float:
    """Return a / b; a regret may be zero."""
    if a == b:
        return 1.0
    return a / b if b else math.inf


def in_turns(
    ways: Mapping[str, Callable[[], float]], *, turns: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Run all ways one after another, again and again; return what each returned, warm-up left out."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + turns):
        for name, way in ways.items():
            figure = way()
            if turn >= warm_up:
                figures[name].append(figure)
    return figures


def arguments(description: str, *, turns: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--turns", type=int, default=turns, help="measurements of each way")
    parser.add_argument("--json", type=Path, help="write the results to this file, and as Markdown beside it")
    return parser


def show(results: Sequence[Result], path: Path | None) -> None:
    """Print the tables; write everything to a JSON file, and the tables as Markdown beside it, if asked to."""
    found: dict[str, Any] = {
        "command": _command(),
        "hardware": {**hardware(), "load_after": round(os.getloadavg()[0], 2)},
        "versions": versions(),
    }
    heading = "\n".join(f"{name}: {value}" for name, value in found.items())
    tables = [_table(result) for result in results]
    print("\n\n".join([heading, *tables]))
    if path is None:
        return
    found["results"] = [{**_plain(result), "rows": result.rows()} for result in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, default=str) + "\n")
    blocks = "\n\n".join(f"```text\n{block}\n```" for block in (heading, *tables))
    path.with_suffix(".md").write_text(blocks + "\n")


def _command() -> str:
    """Return what was typed."""
    spec = sys.modules["__main__"].__spec__
    return " ".join(["python -m", spec.name if spec else "benchmarks", *sys.argv[1:]])


def _plain(result: Result) -> dict[str, Any]:
    targets = [{**vars(target), "met": target.met} for target in result.targets]
    return {**vars(result), "figures": dict(result.figures), "targets": targets}


def _table(result: Result) -> str:
    width = max(len(name) for name in result.figures)
    lines = [
        f"{result.name} [{result.unit}] {dict(result.settings)}",
        f"{'':{width}}  {'n':>4} {'median':>12} {'min':>12} {'max':>12} {'ratio':>8}",
    ]
    for row in result.rows():
        numbers = f"{row['median']:>12,.5g} {row['min']:>12,.5g} {row['max']:>12,.5g} {row['ratio']:>8.2f}"
        lines.append(f"{row['what']:{width}}  {row['n']:>4} {numbers}")
    lines += [f"  {name}: {value}" for name, value in result.notes.items()]
    return "\n".join([*lines, *(f"  {target}" for target in result.targets)])
