"""`pdsearch export`: write the best configurations and students as folders that need nothing of the study."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from pdsearch.cli.arguments import StudyFolder
from pdsearch.cli.console import note_left_out, print_lines, print_note, stderr
from pdsearch.errors import ConfigError


def export(
    study: StudyFolder,
    out: Annotated[Path, typer.Option(help="Where the exported folders go.")] = Path("exported"),
    top: Annotated[int, typer.Option(min=1, help="How many teachers, best first.")] = 1,
    trial: Annotated[
        list[str] | None,
        typer.Option(help="Export this complete trial instead, of a front, say. May be repeated."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace folders of the same name.")] = False,
    artifacts: Annotated[
        str | None, typer.Option(help="The artifacts' folder, if it is not beside the study's.")
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write each network as ONNX too, preprocessing included.")
    ] = False,
    teacher: Annotated[
        bool, typer.Option("--teacher", help="Write the teacher of each student too, pruned as it taught.")
    ] = False,
) -> None:
    """Write the best configurations, their students and a card for each: config.yaml runs again as it stands."""
    if trial and top > 1:
        raise ConfigError("--top counts teachers, --trial names trials", hint="leave one of them out")
    from pdsearch.exporting.bundle import export_study  # loads torch

    exported = export_study(
        study,
        out,
        top=top,
        trials=trial or (),
        force=force,
        artifacts=artifacts,
        onnx=onnx,
        teacher=teacher,
        left_out=note_left_out,
    )
    print_lines(str(one.folder) for one in exported)
    print_note("to run the first again:")
    # Whole, to be copied from a narrow terminal too.
    stderr().print(Text(exported[0].command), soft_wrap=True)
