"""`pdsearch show`: the studies of a storage, one study while it runs or afterwards, or one trial. Reads only."""

import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.text import Text

from pdsearch.cli.console import duration_text, print_lines, print_note, stdout
from pdsearch.cli.progress import PHASES
from pdsearch.errors import ConfigError
from pdsearch.io import Place, place, resolved
from pdsearch.io.durable import write_whole
from pdsearch.io.studies import begun, description, studies
from pdsearch.records.trial_record import AskedRecord, TrialRecord, record_to_json

if TYPE_CHECKING:
    from pdsearch.search.overview import Overview

WATCH_S = 2.0
"""Seconds between two looks at a study that is watched."""

_BARS = "▁▂▃▄▅▆▇█"


def show(
    where: Annotated[str, typer.Argument(help="A study's folder, or a storage.", metavar="STUDY")] = "runs",
    trial: Annotated[
        str | None, typer.Argument(help="A trial's id, its beginning, or its number.", show_default=False)
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again until no driver is at it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    config: Annotated[
        Path | None,
        typer.Option(help="Write the trial as a space file that runs it again.", show_default=False),
    ] = None,
) -> None:
    """Show a study: who drives it, what runs, what is done and left, what failed. Or one trial, or all studies."""
    folder = place(where)
    if isinstance(folder, Path) and folder.is_file():
        description(folder)  # Raises: a study is a folder.
    if trial is None and (config or (watch and begun(folder) is None)):
        raise ConfigError(
            "is of one trial" if config else "is of one study",
            where="--config" if config else "--watch",
            hint="name it after its study" if config else "name its folder",
        )
    if trial is not None:
        _trial(folder, trial, as_json=as_json, config=config)
    elif begun(folder) is None:
        _storage(folder, as_json=as_json)
    elif watch:
        _watch(folder, as_json=as_json)
    else:
        print_lines(_study(folder, as_json=as_json))


def _storage(root: Place, *, as_json: bool) -> None:
    from pdsearch.search.overview import overview  # loads Optuna's ledger

    found = [overview(folder) for folder in studies(root)]
    if not found:
        description(root)  # Raises, with a hint that names studies nearby.
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    lines = []
    for one in found:
        ended = sum(sum(states.values()) for states in one.states.values())
        best = f", best {100 * one.best[0]:.2f} %" if one.best else ""
        driven = f"driven by {one.driver}" if one.driver else "at rest"
        lines.append(f"{one.folder}: {ended} trials ended{best}, {len(one.failures)} failed; {driven}")
    print_lines(lines)


def _study(folder: Place, *, as_json: bool) -> list[str]:
    from pdsearch.search.overview import Overview, overview

    found: Overview = overview(folder)
    if as_json:
        return [json.dumps(dataclasses.asdict(found))]
    return list(_told(found))


def _told(found: "Overview") -> Iterator[str]:
    yield f"study     {found.study}"
    yield f"driver    {found.driver or 'none: the same `pdsearch run` goes on with it'}"
    if found.phase:
        of = f"{found.done} of {found.total} done" if found.total else f"{found.done} done"
        left = f", about {duration_text(found.left_s)} left" if found.left_s is not None else ""
        yield f"phase     {PHASES.get(found.phase, found.phase)}: {of}{left}"
    yield f"time      {duration_text(found.elapsed_s)} in all runs"
    for kind, states in found.states.items():
        yield f"{kind:<9} {', '.join(f'{count} {state}' for state, count in sorted(states.items()))}"
    for student, (value, trial) in found.best_of.items():
        of = f" of {student}" if len(found.best_of) > 1 else ""
        yield f"best      {100 * value:.2f} % of validation, {trial}{of}: of a search, no estimate"
    what = "running" if found.driver else "cut off"
    for standing in found.running:
        since = f"for {duration_text(standing.seconds)}" if found.driver else "the next run goes on with it"
        yield f"{what:<9} {standing.id}, {since}"
    for failure in found.failures:
        yield f"failed    {failure.id}: {(failure.reason.splitlines() or ['no reason'])[0]}"
    for again in dict.fromkeys(failure.again for failure in found.failures):
        yield f"          {again}"
    for broken in found.broken:
        yield f"damaged   {broken}"


def _watch(folder: Place, *, as_json: bool) -> None:
    """Show a study again and again until no driver is at it; Ctrl-C ends it too."""
    from pdsearch.search.overview import overview

    if as_json or not stdout().is_terminal:
        _again(folder, lambda: print_lines(_study(folder, as_json=as_json)))
        sys.stdout.flush()
        return
    with Live(console=stdout(), auto_refresh=False) as live:
        _again(folder, lambda: live.update(Text("\n".join(_told(overview(folder)))), refresh=True))


def _again(folder: Place, look: Callable[[], None]) -> None:
    from pdsearch.search.overview import overview

    look()
    while overview(folder).driver:
        time.sleep(WATCH_S)
        look()


def _trial(folder: Place, name: str, *, as_json: bool, config: Path | None) -> None:
    from pdsearch.search.overview import one_trial

    record, earlier, again = one_trial(folder, name)
    if config is not None:
        _write_config(folder, record, config)
    if as_json:
        value = {**record_to_json(record), "earlier_tries": [record_to_json(one) for one in earlier]}
        print(json.dumps(value, indent=2))
        return
    print_lines(_asked(record) if isinstance(record, AskedRecord) else _ended(record, earlier))
    if again:
        print_lines([f"again     {again}"])
    command = (
        f"pdsearch show {shlex.quote(str(folder))} {record.id} --config trial.yaml && pdsearch run trial.yaml"
    )
    print_lines([f"alone     {command}"])


def _asked(record: AskedRecord) -> Iterator[str]:
    yield f"trial     {record.id}, begun {record.asked_at}, not ended"
    yield from _params(record)


def _params(record: AskedRecord | TrialRecord) -> Iterator[str]:
    spec = record.spec
    prune = f"{spec.prune.method} {spec.prune.ratio:g}" if spec.prune else "unpruned"
    teacher = (
        "none" if spec.distill.loss == "ce" else f"{spec.teacher.model} {prune}, seed {spec.teacher.seed}"
    )
    yield f"teacher   {teacher}"
    yield f"student   {spec.student.model}, loss {spec.distill.loss}, seed {spec.distill.seed}"
    shown = dict(record.params) or {f"distill.{key}": value for key, value in spec.distill.params}
    yield from (f"          {key} = {json.dumps(value)}" for key, value in shown.items())


def _ended(record: TrialRecord, earlier: Sequence[TrialRecord]) -> Iterator[str]:
    yield f"trial     {record.id}, {record.state}"
    if record.reason:
        first, *rest = record.reason.splitlines()
        yield f"why       {first}"
        yield from (f"          {line}" for line in rest)
    for number, one in enumerate(earlier, start=1):
        yield f"try {number}     failed: {(one.reason or '').partition(chr(10))[0]}"
    yield from _params(record)
    if record.teacher and record.teacher.method:
        from pdsearch.analysis.display_names import of_what  # loads Arrow

        of = of_what(record.teacher.prunable, record.teacher.params)
        yield f"pruned    {100 * record.teacher.sparsity:.2f} % of {of}"
    yield from _curve(record)
    for name, value in {**record.values, **{f"test {k}": v for k, v in (record.test or {}).items()}}.items():
        text = f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:,g}"
        yield f"measured  {name} {text}"
    for use in record.artifacts:
        how = (
            f"reused, {duration_text(use.seconds)} saved"
            if use.hit
            else f"made in {duration_text(use.seconds)}"
        )
        yield f"artifact  {use.stage}/{use.key[:12]}: {how}"
    epochs = ", ".join(f"{count} {stage}" for stage, count in record.cost.epochs.items() if count)
    yield f"cost      {duration_text(record.cost.seconds)}; epochs: {epochs or 'none'}"
    yield f"where     {record.host or 'unknown'}, {record.device or 'unknown'}"
    yield f"when      {record.started_at} to {record.finished_at}"


def _curve(record: TrialRecord) -> Iterator[str]:
    values = [report.val_accuracy for report in record.reports if report.val_accuracy is not None]
    if not values:
        return
    low, high = min(values), max(values)
    chosen = values if len(values) <= 60 else [values[place * len(values) // 60] for place in range(60)]
    line = "".join(_BARS[round((len(_BARS) - 1) * (value - low) / ((high - low) or 1))] for value in chosen)
    planned = record.reports[-1].epochs
    yield f"curve     {line}  {100 * values[0]:.2f} to {100 * values[-1]:.2f} % in {len(values)} of {planned} epochs"


def _write_config(folder: Place, record: AskedRecord | TrialRecord, target: Path) -> None:
    from pdsearch.exporting.config_file import config_of

    if target.exists():
        raise ConfigError("is there already", where=str(target), hint="name another file")
    text, _ = config_of(record, str(resolved(folder).parent), description(folder))
    write_whole(target, text)
    print_note(f"wrote {target}")
