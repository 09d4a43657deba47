"""Printing to stdout and stderr: formatted on a terminal, plain elsewhere; bytes and seconds as text."""

import re
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.user_code import user_lines

if TYPE_CHECKING:
    from pdsearch.io.record_files import BrokenRecord


def stdout() -> Console:
    """Return the console of results; a new one each time, so that redirected streams are honoured."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Return the console of progress, notes and errors."""
    return _console(sys.stderr)


def _console(stream: IO[str]) -> Console:
    # Off a terminal rich would break lines at 80 columns; a file or a pipe wants them whole.
    width = None if stream.isatty() else 10_000
    return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())


def print_note(message: str) -> None:
    """Print a message beside the results, on stderr."""
    stderr().print(Text(message))


def note_left_out(broken: "Iterable[BrokenRecord]") -> None:
    """Print which files of a study are not valid records, in the same words for every verb."""
    for item in broken:
        print_note(f"note: {item}; it was left out")


def print_lines(lines: Iterable[str]) -> None:
    """Print lines of text on stdout, wrapped on a terminal; never read as markup."""
    console = stdout()
    for line in lines:
        console.print(Text(line))


def print_error(error: PdsearchError) -> None:
    """Print what happened, where in the user's own code, and what to do now, on stderr; coloured on a terminal."""
    message, arrow, hint = str(error).partition(error.ARROW)
    text = Text("pdsearch: ", style="bold red").append(message, style="not bold default")
    for line in user_lines(error):
        text.append(f"\n    {line}", style="cyan")
    console = stderr()
    console.print(text.append(arrow + hint, style="not bold green"), soft_wrap=not console.is_terminal)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    numeric: Sequence[bool] = (),
    repeat: int = 0,
    whole: bool = True,
) -> list[str]:
    """Print rows of text on stdout: a drawn table on a terminal, tab-separated lines off it.

    Args:
        columns: Names of the columns.
        rows: Cells as text, one sequence per row; never read as markup.
        title: Line above a drawn table.
        numeric: Which columns are numbers, to be aligned right; none where empty.
        repeat: How many columns a terminal too narrow for all repeats at the start of each part of the table; 0 breaks
            cells instead.
        whole: Whether such a terminal is shown all parts, or the first alone.

    Returns:
        The names of the columns that were not shown.
    """
    console, lines = stdout(), [tuple(row) for row in rows]
    if not console.is_terminal:
        for row in [columns, *lines]:
            print("\t".join(row))
        return []
    natural = [max(map(len, cells)) for cells in zip(columns, *lines, strict=True)]
    # Headings are broken between words where that makes room; cells are not.
    broken = [
        max(map(len, [*column.split(), *cells])) for column, *cells in zip(columns, *lines, strict=True)
    ]
    parts = _parts(broken, console.width, repeat) if repeat else [range(len(columns))]
    shown = parts if whole else parts[:1]
    for part in shown:
        head = title if part is parts[0] else None
        table = Table(title=head, title_justify="left", title_style="bold", header_style="bold")
        fits = not repeat or sum(natural[place] + 3 for place in part) < console.width
        for place in part:
            right, most = bool(numeric) and numeric[place], None if fits else broken[place]
            table.add_column(Text(columns[place]), justify="right" if right else "left", max_width=most)
        for row in lines:
            table.add_row(*(Text(row[place]) for place in part))
        console.print(table)
    return [columns[place] for part in parts[len(shown) :] for place in part[repeat:]]


def _parts(widths: Sequence[int], width: int, repeat: int) -> list[Sequence[int]]:
    """Return the columns of each part of a table, as many as fit unbroken, and one more than `repeat` at least."""
    widths = [cells + 3 for cells in widths]  # two spaces and a rule
    first = list(range(repeat))
    room, parts, part = width - 1 - sum(widths[:repeat]), [], list(first)
    for place in range(repeat, len(widths)):
        if len(part) > repeat and sum(widths[p] for p in part[repeat:]) + widths[place] > room:
            parts.append(part)
            part = list(first)
        part.append(place)
    return [*parts, part]


_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")


def size(count: float) -> str:
    """Return a number of bytes as text with a decimal unit, B to TB."""
    value = count
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def about(seconds: float) -> str:
    """Return an estimated duration as text, no finer than an estimate is."""
    if seconds < 55:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{seconds / 3600:.1f} h"


def duration_text(seconds: float) -> str:
    """Return a duration as text, in seconds, minutes or hours."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def parse_size(text: str) -> int:
    """Return the bytes of a text such as "50GB".

    Raises:
        ConfigError: The text is not a size.
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ConfigError(f"{text!r} is no size", where="--max-size", hint="write it as 500MB, 50GB or 2TB")
    return int(float(match[1]) * _UNITS[match[2]])
