"""docs/demo.svg, README's picture of a terminal: `python -m tests.docs.picture runs/digits`, after `make demo`."""

import io
import sys
from unittest.mock import patch

from rich.console import Console
from rich.terminal_theme import MONOKAI

from pdsearch.cli.main import main
from tests.architecture.tree import ROOT

PICTURE = ROOT / "docs/demo.svg"
COLUMNS = 132


def drawn(study: str, columns: int = COLUMNS) -> str:
    """Return what `pdsearch rank` prints of a study on a terminal, as SVG."""
    console = Console(file=io.StringIO(), record=True, width=columns, force_terminal=True, highlight=False)
    with patch("pdsearch.cli.console.stdout", lambda: console):
        assert main(["rank", study]) == 0
    return console.export_svg(title=f"pdsearch rank {study}", theme=MONOKAI)


if __name__ == "__main__":
    PICTURE.write_text(drawn(sys.argv[1]), encoding="utf-8")
