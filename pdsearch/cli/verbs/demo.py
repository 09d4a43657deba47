"""`pdsearch demo`: run the digits space that comes with the package, from a copy in the current folder."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from pdsearch.cli.console import print_note
from pdsearch.cli.verbs.run import run
from pdsearch.errors import ConfigError
from pdsearch.io.durable import storage_errors, write_whole

NAME = "digits.yaml"


def demo(
    serial: Annotated[
        bool, typer.Option("--serial", help="One trial at a time in this process, without Ray.")
    ] = False,
    progress: Annotated[str, typer.Option(help="auto, screen, lines or json.")] = "auto",
) -> None:
    """Search the digits that come with pdsearch: minutes on a CPU, nothing is downloaded. Writes digits.yaml here."""
    path, text = Path(NAME), (files("pdsearch.cli") / NAME).read_text(encoding="utf-8")
    with storage_errors(path):
        if not path.exists():
            write_whole(path, text)
            print_note(f"wrote {NAME}: a space file to read, change and run again")
        elif path.read_text(encoding="utf-8", errors="replace") != text:
            hint = f"pdsearch run {NAME} runs it; or start the demo in another folder"
            raise ConfigError("there is another file of this name", where=NAME, hint=hint)
    run(path, address=None if serial else "local", serial=serial, progress=progress)
