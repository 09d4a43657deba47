"""`pdsearch plan`: what a search would cost, in trainings, epochs, hours and storage; only speeds are written."""

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import about, print_lines, print_table, size
from pdsearch.cli.verbs.check import power

if TYPE_CHECKING:
    from pdsearch.config import Space
    from pdsearch.search.planning.calibrate import Measured
    from pdsearch.search.planning.disk import Disk
    from pdsearch.search.planning.remaining import Forecast, Hours
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
    """Say what is left to compute of a search: trainings, epochs and storage, and what is stored; start nothing."""
    from pdsearch.config import load
    from pdsearch.search.planning.disk import disk, known_images, read_shape
    from pdsearch.search.planning.remaining import forecast, hours

    loaded = load(space, overrides or [])
    found = forecast(loaded)
    data = loaded.resolve(loaded.defaults()).data
    images = known_images(data) or (read_shape(data) if calibrate else None)
    stored = disk(loaded, found.plan, images) if images else None
    told = hours(loaded, found.plan, images) if calibrate and images else None
    if as_json:
        print(json.dumps(_as_json(found, stored, told), indent=2))
        return
    _show(loaded, found, stored)
    print_lines([*_stored(found), *_time(told, found)])


def _stored(found: "Forecast") -> list[str]:
    if not found.stored:
        return []
    what = f"{len(found.stored)} of {len(found.plan.artifacts)} teachers and rounds are stored already"
    return [f"{what}: {_count(found.plan.spared)} epochs that are not trained again"]


def _time(told: "Hours | None", found: "Forecast") -> list[str]:
    if told is None:
        return ["hours: add --calibrate"]
    lines = [f"{_network(one)}: {one.images_per_s:,.0f} images/s" for one in told.measured]
    if told.left_out:
        lines.append(f"{told.left_out} more of fewer epochs count as the slowest of these")
    on = "cores" if told.device == "cpu" else "GPUs"
    least, most = (
        told.at(draw.with_reuse, found.plan.with_reuse) for draw in (found.draws[0], found.draws[-1])
    )
    between = f" ({about(least)} to {about(most)})" if about(least) != about(most) else ""
    lines.append(f"about {about(told.seconds)}{between} with all {on} of this machine; {_when(told)}")
    return [*lines, *([told.busy] if told.busy else [])]


def _network(one: "Measured") -> str:
    options = "".join(f" {name}={value}" for name, value in one.options)
    return f"{'training' if one.train else 'outputs of'} {one.model}{options}, {one.batch} at once"


def _when(told: "Hours") -> str:
    days = sorted({one.at[:10] for one in told.measured})
    return f"speeds measured on {' and '.join(days)}, {_kept(told)}" if days else "nothing is left to train"


def _kept(told: "Hours") -> str:
    return f"not all kept: {told.unkept}" if told.unkept else "kept in the storage"


def _as_json(found: "Forecast", stored: "Disk | None", told: "Hours | None") -> dict[str, object]:
    planned, all_students = found.plan, sorted(_students(draw) for draw in found.draws)
    return {
        "stored": {"artifacts": found.stored, "epochs": planned.spared},
        "hours": None if told is None else dataclasses.asdict(told),
        "study": planned.study,
        "trials": planned.trials,
        "done": planned.done,
        "exact": planned.exact,
        "artifacts": [_artifact(artifact) for artifact in planned.artifacts],
        "phases": [dataclasses.asdict(phase) for phase in planned.phases],
        "without_reuse": planned.without_reuse,
        "with_reuse": planned.with_reuse,
        "range": {
            "draws": len(found.draws),
            "students": [all_students[0], all_students[-1]],
            "with_reuse": [found.draws[0].with_reuse, found.draws[-1].with_reuse],
        },
        "disk": None if stored is None else {**dataclasses.asdict(stored), "total": stored.total},
    }


def _students(planned: "Plan") -> float:
    return sum(phase.students for phase in planned.phases)


def _artifact(artifact: "PlannedArtifact") -> dict[str, object]:
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


def _show(space: "Space", found: "Forecast", stored: "Disk | None") -> None:
    planned = found.plan
    kind = "every trial of the space" if planned.exact else "drawn as by its sampler"
    searched = f"{planned.trials} search trials; {kind}"
    if planned.done:
        searched = f"{planned.done} of {planned.trials} search trials are done; what is left"
    if not planned.trials:
        searched = f"nothing is searched, {space.search.trials} configurations are confirmed"
    print_lines([*([found.other] if found.other else []), f"study {planned.study}: {searched}"])
    if not planned.phases:
        print_lines(["nothing is left to do"])
        return
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
    phases.append(
        ("total", _count(_students(planned)), _count(planned.without_reuse), _count(planned.with_reuse))
    )
    columns = ("phase", "students", "epochs without reuse", "epochs with reuse")
    print_table(columns, phases, numeric=(False, True, True, True))
    print_lines([*_range(found), *_remarks(space, planned, stored)])


def _range(found: "Forecast") -> list[str]:
    """Say between what a study's cost varies from draw to draw, if it does."""
    students = [_count(number) for number in sorted(map(_students, found.draws))]
    epochs = [_count(draw.with_reuse) for draw in (found.draws[0], found.draws[-1])]
    if epochs[0] == epochs[1]:
        return []
    return [
        f"the middle of {len(found.draws)} draws; in all of them {students[0]} to {students[-1]} students,"
        f" {epochs[0]} to {epochs[1]} epochs with reuse: which teachers lead is known once they have been tried"
    ]


def _remarks(space: "Space", planned: "Plan", stored: "Disk | None") -> list[str]:
    from pdsearch.search.planning.prunable_share import prunable_lines_unread

    lines = []
    if planned.with_reuse:
        lines.append(f"reuse makes it {planned.without_reuse / planned.with_reuse:.1f} times cheaper")
    if space.search.stop:
        lines.append("some trials are stopped early, as drawn")
    if space.confirm:
        lines += power(space)
    if stored is None:
        return [*lines, "storage: not known before the images are read, which --calibrate does"]
    parts = ", ".join(f"{name} {size(value)}" for name, value in dataclasses.asdict(stored).items() if value)
    lines += prunable_lines_unread(space)
    return [*lines, f"storage: about {size(stored.total)} ({parts})"]


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or abs(value - round(value)) < 0.05 else f"{value:.1f}"
