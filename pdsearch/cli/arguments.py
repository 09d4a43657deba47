"""Arguments that several verbs share, declared once."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

SpaceFile: TypeAlias = Annotated[Path, typer.Argument(help="A space file.", show_default=False)]

Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Replace a value, by its dotted key; may be given several times."
    ),
]

StudyFolder: TypeAlias = Annotated[
    str, typer.Argument(help="The folder of a study, a copy of one, or its URL.", show_default=False)
]
