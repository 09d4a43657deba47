"""How are several ways of doing one thing compared? In turns, in one run; medians and ratios as a table and JSON."""

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware, versions

__all__ = ["Result", "arguments", "in_turns", "show"]


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
    """

    name: str
    unit: str
    figures: Mapping[str, Sequence[float]]
    baseline: str
    more_is_better: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each name: n, median, least, greatest, and the median ratio to the baseline."""
        return [self._row(name, values) for name, values in self.figures.items()]

    def ratio(self, name: str, to: str) -> float:
        """Return the median of the turns' ratios; what slowed one turn down slowed down both."""
        pairs = list(zip(self.figures[name], self.figures[to], strict=False))
        ratios = [a / b if self.more_is_better else b / a for a, b in pairs]
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
    parser.add_argument("--json", type=Path, help="write the results to this file as well")
    return parser


def show(results: Sequence[Result], path: Path | None) -> None:
    """Print the tables; write everything to a file if there is one."""
    machine, software = hardware(), versions()
    print(f"hardware: {machine}\nversions: {software}")
    for result in results:
        _print(result)
    if path is not None:
        content = {
            "hardware": machine,
            "versions": software,
            "results": [
                {**vars(result), "figures": dict(result.figures), "rows": result.rows()} for result in results
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, default=str) + "\n")


def _print(result: Result) -> None:
    width = max(len(name) for name in result.figures)
    print(f"\n{result.name} [{result.unit}] {dict(result.settings)}")
    print(f"{'':{width}}  {'n':>4} {'median':>12} {'min':>12} {'max':>12} {'ratio':>8}")
    for row in result.rows():
        numbers = f"{row['median']:>12,.5g} {row['min']:>12,.5g} {row['max']:>12,.5g} {row['ratio']:>8.2f}"
        print(f"{row['what']:{width}}  {row['n']:>4} {numbers}")
    for name, value in result.notes.items():
        print(f"  {name}: {value}")
