"""`pdsearch reproduce`: train an exported configuration again, from nothing, and say whether it is the same."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pdsearch.analysis.tables import percent
from pdsearch.cli.arguments import Overrides
from pdsearch.cli.console import print_lines, print_note
from pdsearch.cli.progress import JsonLines, Lines, Tally
from pdsearch.errors import ConfigError, Interrupted, IrreproducibleError
from pdsearch.signals import stoppable

if TYPE_CHECKING:
    from pdsearch.exporting.reproduction import Fresh, Reproduction


def reproduce_export(
    export: Annotated[
        Path, typer.Argument(help="A folder that `pdsearch export` wrote.", show_default=False)
    ],
    seeds: Annotated[int, typer.Option(help="Also train this many students with fresh seeds.")] = 0,
    storage: Annotated[
        Path | None,
        typer.Option(help="Train in this folder and keep it; a stopped reproduction goes on there."),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, max=100, help="Points of accuracy that may lie between, where machine or versions differ."
        ),
    ] = 1.0,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Train an exported configuration again, its teacher included, and compare the student to the bit."""
    if seeds < 0 or seeds == 1:
        raise ConfigError(
            f"expected 0, or at least 2, got {seeds}", where="--seeds", hint="an interval needs two students"
        )
    from pdsearch.exporting.reproduction import read_export, reproduce  # loads torch

    found = read_export(export)
    with _told_how_to_go_on(storage), stoppable(print_note) as stop, _observer(as_json=as_json) as observer:
        done = reproduce(
            found,
            observer,
            stop,
            storage=storage,
            seeds=seeds,
            tolerance=tolerance / 100,
            overrides=tuple(overrides or ()),
        )
    if as_json:
        print(json.dumps(_plain(done)))
    else:
        print_lines(_lines(done))
    if not done.passed:
        raise IrreproducibleError(
            "the record is not reproduced", where=str(export), hint=_hint(done, asked=seeds > 0)
        )


@contextmanager
def _told_how_to_go_on(storage: Path | None) -> Iterator[None]:
    """Say what remains where a signal ended the block."""
    try:
        yield
    except Interrupted as error:
        if storage is not None:
            raise
        raise type(error)(
            "stopped; what was trained again is gone", hint="with --storage FOLDER it can go on"
        ) from None


def _observer(*, as_json: bool) -> Tally:
    return JsonLines(sys.stderr) if as_json else Lines(sys.stderr)


def _plain(done: "Reproduction") -> dict[str, object]:
    fresh = done.fresh and {**dataclasses.asdict(done.fresh), "inside": done.fresh.inside}
    accuracies = {name: {"record": was, "again": now} for name, (was, now) in sorted(done.accuracies.items())}
    return {
        "format": 1,
        "reproduced": done.passed,
        "same_bits": done.same_bits,
        "differs": list(done.differs),
        "tolerance": done.tolerance,
        "accuracies": accuracies,
        "fresh": fresh or None,
    }


def _lines(done: "Reproduction") -> Iterator[str]:
    if done.same_bits:
        yield "equal to the bit: every weight of the student is the exported one"
    elif done.differs:
        near = "differ by at most" if done.close else "differ by more than"
        yield (
            f"not equal to the bit, as machine or versions differ; the student's accuracies {near}"
            f" {percent(done.tolerance)} points"
        )
    else:
        yield "NOT equal to the bit, on the same machine with the same versions"
    for line in done.differs:
        yield f"  differs: {line}"
    for name, (was, now) in sorted(done.accuracies.items()):
        yield f"  {name.replace('_', ' ')}: record {percent(was)} %, again {percent(now)} %"
    if done.fresh:
        yield _fresh(done.fresh)


def _fresh(fresh: "Fresh") -> str:
    of = "1 student" if fresh.record_seeds == 1 else f"{fresh.record_seeds} students"
    where = "inside" if fresh.inside else "OUTSIDE"
    return (
        f"{len(fresh.values)} fresh seeds ({fresh.seeds[0]} to {fresh.seeds[-1]}), same teacher:"
        f" {', '.join(map(percent, fresh.values))} %; the record ({fresh.metric.replace('_', ' ')} of {of},"
        f" {percent(fresh.record)} %) lies {where} their 95 % interval"
        f" [{percent(fresh.low)}, {percent(fresh.high)}]"
    )


def _hint(done: "Reproduction", *, asked: bool) -> str:
    if done.fresh is not None and not done.fresh.inside:
        return "the exported student had luck as well as merit, or something that no record holds has changed"
    seeds = "" if asked else "; --seeds 5 says whether it lies within what seeds alone change"
    if done.differs:
        return f"train it with the versions above{seeds}"
    return f"an earlier version did not record threads: try --set resources.cpu=N as in the study{seeds}"
