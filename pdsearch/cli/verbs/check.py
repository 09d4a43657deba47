"""`pdsearch check`: check a space file and say what it would search. Starts nothing, writes nothing."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import print_lines, print_note, print_table

if TYPE_CHECKING:
    from pdsearch.config import Parameter, Space


def check(
    space: SpaceFile,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole space, defaults too.")] = False,
    data: Annotated[
        bool, typer.Option("--data", help="Read the data set too, and say what it holds and lacks.")
    ] = False,
) -> None:
    """Check a space file and say what it would search; start nothing."""
    from pdsearch.config import load, positioned  # loads the registries, and torch with them
    from pdsearch.search.planning.prunable_share import prunable_lines_unread

    loaded = load(space, overrides or [])
    if as_json:
        found = {"space": loaded.to_json(), "notes": [*loaded.notes], "warnings": [*loaded.warnings]}
        print(json.dumps(found, indent=2))
        return
    print_lines(_plan(loaded))
    if loaded.parameters:
        print_table(("searched", "values", "when"), [_row(p) for p in loaded.parameters])
        print_lines([_REPEATABLE])
    print_lines(loaded.notes)
    print_lines(prunable_lines_unread(loaded))
    if data:
        from pdsearch.search.preflight.dry_run import check_data  # loads what a study is run with

        with positioned(loaded):
            check_data(loaded, lambda line: print_lines([line]))
    for warning in loaded.warnings:
        print_note(f"warning: {warning}")


_REPEATABLE = (
    "with one worker the same trials are run again; with several, what is tried next depends on which trial ends "
    "first, so that another run may try others"
)


def _plan(space: "Space") -> list[str]:
    """Return the plan of a search, a line for each decision."""
    search, stop, confirm = space.search, space.search.stop, space.confirm
    if not space.validated:
        return [f"study {space.study}, in {space.storage}", *_unselected(space)]
    lines = [
        f"study {space.study}, in {space.storage}",
        f"{search.trials} trials of {len(space.parameters)} searched parameters, sampler {search.sampler}",
        "objective: " + ", ".join(f"{goal.goal} {goal.metric}" for goal in space.objectives),
    ]
    if space.constraints:
        lines.append("constraint: " + ", ".join(str(limit) for limit in space.constraints))
    if stop:
        lines.append(f"stops weak trials: best 1 of {stop.factor} at each rung, from epoch {stop.min_epochs}")
    if confirm:
        also = f", {confirm.teacher_seeds} times trained" if confirm.teacher_seeds > 1 else ""
        lines.append(f"confirms {confirm.teachers} teachers{also} with {confirm.seeds} fresh seeds each")
        students = len(space.by_student())
        if students > 1:
            lines.append(
                f"teachers of {students} students take turns; each student is ranked with its like, and alone"
            )
        if len(space.objectives) > 1 and confirm.front != 0:
            most = (
                f"up to {confirm.teachers}, which make up most of it"
                if confirm.front is None
                else confirm.front
            )
            lines.append(f"confirms members of the front as well: {most}")
        lines += power(space)
    return lines


def power(space: "Space") -> list[str]:
    """Return what gain the confirmation of a space can show."""
    from pdsearch.analysis.statistics import forecast_lines
    from pdsearch.search.planning.disk import known_images

    if space.confirm is None:
        return []
    images, confirm = known_images(space.resolve(space.defaults()).data), space.confirm
    return [
        *forecast_lines(
            confirm.teachers, confirm.seeds, confirm.teacher_seeds, images.test if images else None
        )
    ]


def _unselected(space: "Space") -> list[str]:
    """Return the plan of a study that has no validation images, hence nothing to select by."""
    lines = ["no validation images (data.val_fraction is 0): nothing is searched or selected"]
    if space.confirm is None:
        return [*lines, "the one configuration is trained once and tested"]
    again = f", {space.confirm.teacher_seeds} teachers each" if space.confirm.teacher_seeds > 1 else ""
    count = space.search.trials
    whose = "the one configuration is" if count == 1 else f"all {count} configurations are"
    return [*lines, f"{whose} trained with {space.confirm.seeds} seeds{again}, and tested, with baselines"]


def _row(parameter: "Parameter") -> tuple[str, str, str]:
    conditions = (f"{name} is {' or '.join(map(str, values))}" for name, values in parameter.when.items())
    return parameter.name, _values(parameter), " and ".join(conditions)


def _values(parameter: "Parameter") -> str:
    if parameter.kind == "categorical":
        return ", ".join(str(choice) for choice in parameter.choices)
    scale = ", log" if parameter.log else ""
    step = f", in steps of {parameter.step:g}" if parameter.step else ""
    return f"{parameter.low:g} to {parameter.high:g}{scale}{step}"
