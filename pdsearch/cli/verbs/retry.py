"""`pdsearch retry`: have the next run try failed trials again, once their cause is mended."""

from typing import Annotated

import typer

from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.console import note_left_out, print_lines
from pdsearch.errors import ConfigError


def retry(
    study: StudyFolder, failed: Annotated[bool, typer.Option("--failed", help="Those that failed.")] = False
) -> None:
    """Have failed trials asked again by the next `pdsearch run`. Nothing is trained now."""
    if not failed:
        raise ConfigError("which trials?", where="pdsearch retry", hint="add --failed")
    from pdsearch.search.maintenance import retry_failed

    again = retry_failed(study, note_left_out)
    print_lines([f"{name} will be tried again" for name in again] or ["no trial has failed"])
