"""`pdsearch extend`: let a study go on with a wider space: more choices, wider ranges. Nothing is trained."""

import sys
from typing import Annotated

import typer

from pdsearch.cli.arguments import Overrides, SpaceFile
from pdsearch.cli.console import print_lines
from pdsearch.cli.progress import Lines
from pdsearch.config import load, positioned
from pdsearch.errors import ConfigError
from pdsearch.io import resolved
from pdsearch.io.studies import Accept, begun


def extend(
    space: SpaceFile,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
) -> None:
    """Let a study go on with a wider space file: choices added, ranges widened. What finished counts."""
    asked = load(space, overrides=tuple(overrides or ()))
    folder = resolved(asked.storage) / asked.study
    began = begun(folder)
    if began is None:
        hint = "pdsearch run begins it, with any space"
        raise ConfigError("there is no study to extend", where=str(folder), hint=hint)
    from pdsearch.search.identity import changes_of  # loads torch
    from pdsearch.search.study import described, open_as_driver

    with positioned(asked):
        changes = changes_of(asked, folder, described(asked), began)
        changes.check(folder, Accept(wider=True))
        if not changes.wider:
            print_lines(["the study has this space already; trials, confirm and limits change freely"])
        elif dry_run:
            print_lines([*changes.wider, "nothing was changed: this was a dry run"])
        else:
            with Lines(sys.stderr) as observer, open_as_driver(asked, observer, accept=Accept(wider=True)):
                pass
            print_lines([f"extended; to go on: pdsearch run {space}"])
