"""`pdsearch verify`: check that a study keeps its invariants. Reads only."""

import dataclasses
import json
from typing import Annotated

import typer

from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.console import print_lines, print_note


def verify(
    study: StudyFolder,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also hash every artifact that its trials used.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write what is broken as JSON.")] = False,
) -> None:
    """Check a study: every trial finished once, study and records equal, artifacts whole. Exit code 1 if not."""
    from pdsearch.search.verify import check_invariants

    broken = check_invariants(study, deep=deep)
    if as_json:
        print(json.dumps([dataclasses.asdict(item) for item in broken], indent=2))
    else:
        print_lines([str(item) for item in broken] or ["all is as it must be"])
    if any(item.mended for item in broken):
        print_note(
            "note: what a cut-off run left is mended by the next `pdsearch run`; nothing finished is lost"
        )
    if any(item.rule == "artifacts" for item in broken):
        print_note("note: a broken artifact is made anew by the next trial that needs it")
    if broken:
        raise typer.Exit(1)
