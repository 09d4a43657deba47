"""`pdsearch plan`: what a search would cost, in trainings, epochs, hours and storage; only speeds are written."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import about, print_lines, print_table, size
from pdsearch.cli.verbs.check import power

if TYPE_CHECKING:
    from pdsearch.config import Space
    from pdsearch.search.planning.calibrate import Measured
    from pdsearch.search.planning.disk import Disk
    from pdsearch.search.planning.remaining import Hours
    from pdsearch.search.planning.simulate import Plan, PlannedArtifact

MOST_ROWS = 40


def plan(
    space: SpaceFile,
    overrides: Overrides = None,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Measure the networks here for a second each, once, and say hours."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure, for programs.")] = False,
) -> None:
    """Say what a search would cost in trainings, epochs and storage, and what is stored already; start nothing."""
    from pdsearch.config import load
    from pdsearch.search.planning.disk import disk, known_images, look_at
    from pdsearch.search.planning.remaining import hours, without_stored
    from pdsearch.search.planning.simulate import plan as planned_of  # loads torch

    loaded = load(space, overrides or [])
    whole = planned_of(loaded)
    data = loaded.resolve(loaded.defaults()).data
    images = known_images(data) or (look_at(data) if calibrate else None)
    stored = disk(loaded, whole, images) if images else None
    planned, there = without_stored(loaded, whole)
    told = hours(loaded, planned, images) if calibrate and images else None
    if as_json:
        print(json.dumps(_as_json(planned, stored, there, told), indent=2))
        return
    _show(loaded, planned, stored)
    print_lines([*_stored(planned, there), *_time(told)])


def _stored(planned: "Plan", there: list[str]) -> list[str]:
    if not there:
        return []
    what = f"{len(there)} of {len(planned.artifacts)} teachers and rounds are stored already"
    return [f"{what}: {_count(planned.spared)} epochs that are not trained again"]


def _time(told: "Hours | None") -> list[str]:
    if told is None:
        return ["hours: add --calibrate"]
    lines = [f"{_network(one)}: {one.images_per_s:,.0f} images/s" for one in told.measured]
    if told.left_out:
        lines.append(f"{told.left_out} more of fewer epochs count as the slowest of these")
    on = "cores" if told.device == "cpu" else "GPUs"
    lines.append(f"about {about(told.seconds)} with all {on} of this machine; {_when(told)}")
    return [*lines, *([told.busy] if told.busy else [])]


def _network(one: "Measured") -> str:
    options = "".join(f" {name}={value}" for name, value in one.options)
    return f"{'training' if one.train else 'outputs of'} {one.model}{options}, {one.batch} at once"


def _when(told: "Hours") -> str:
    days = sorted({one.at[:10] for one in told.measured})
    return (
        f"speeds measured on {' and '.join(days)}, kept in the storage"
        if days
        else "nothing is left to train"
    )


def _as_json(
    planned: "Plan", stored: "Disk | None", there: list[str], told: "Hours | None"
) -> dict[str, Any]:
    return {
        "stored": {"artifacts": there, "epochs": planned.spared},
        "hours": None if told is None else dataclasses.asdict(told),
        "study": planned.study,
        "trials": planned.trials,
        "exact": planned.exact,
        "artifacts": [_artifact(artifact) for artifact in planned.artifacts],
        "phases": [dataclasses.asdict(phase) for phase in planned.phases],
        "without_reuse": planned.without_reuse,
        "with_reuse": planned.with_reuse,
        "disk": None if stored is None else {**dataclasses.asdict(stored), "total": stored.total},
    }


def _artifact(artifact: "PlannedArtifact") -> dict[str, Any]:
    teacher = artifact.spec.teacher
    return {
        "label": artifact.label,
        "stage": artifact.stage,
        "model": teacher.model,
        "options": teacher.options,
        "epochs": artifact.epochs,
        "built": artifact.built,
        "uses": artifact.uses,
        "stored": artifact.stored,
    }


def _show(space: "Space", planned: "Plan", stored: "Disk | None") -> None:
    kind = "every trial of the space" if planned.exact else "as drawn at random, always the same"
    searched = f"{planned.trials} search trials; {kind}"
    if not planned.trials:
        searched = f"nothing is searched, {space.search.trials} configurations are confirmed"
    print_lines([f"study {planned.study}: {searched}"])
    artifacts = [
        (a.label, _count(a.epochs), _count(a.built), _count(a.uses)) for a in planned.artifacts[:MOST_ROWS]
    ]
    print_table(
        ("teacher", "epochs", "built", "trials that need it"), artifacts, numeric=(False, True, True, True)
    )
    if len(planned.artifacts) > MOST_ROWS:
        print_lines([f"and {len(planned.artifacts) - MOST_ROWS} more; --json has all"])
    phases = [
        (phase.name, _count(phase.students), _count(phase.without_reuse), _count(phase.with_reuse))
        for phase in planned.phases
    ]
    total = sum(phase.students for phase in planned.phases)
    phases.append(("total", _count(total), _count(planned.without_reuse), _count(planned.with_reuse)))
    columns = ("phase", "students", "epochs without reuse", "epochs with reuse")
    print_table(columns, phases, numeric=(False, True, True, True))
    print_lines(_remarks(space, planned, stored))


def _remarks(space: "Space", planned: "Plan", stored: "Disk | None") -> list[str]:
    from pdsearch.search.planning.prunable_share import prunable_lines_unread

    lines = []
    if planned.with_reuse:
        lines.append(f"reuse makes it {planned.without_reuse / planned.with_reuse:.1f} times cheaper")
    if space.search.stop:
        lines.append("trials that are stopped early cost less")
    if space.confirm:
        lines.append("which teachers are confirmed is drawn at random, too")
        lines += power(space)
    if stored is None:
        return [*lines, "storage: not known before the images are read, which --calibrate does"]
    parts = ", ".join(f"{name} {size(value)}" for name, value in dataclasses.asdict(stored).items() if value)
    lines += prunable_lines_unread(space)
    return [*lines, f"storage: about {size(stored.total)} ({parts})"]


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or abs(value - round(value)) < 0.05 else f"{value:.1f}"
