"""The cost table of search_spaces/README.md, one row a shipped space; run this module to write it."""

from functools import cache
from pathlib import Path

from pdsearch.cli.console import size
from pdsearch.config import Space, load
from pdsearch.search.planning.disk import disk, known_images
from pdsearch.search.planning.simulate import Plan, plan
from tests.docs.tables import filled

SPACES = Path(__file__).parents[2] / "search_spaces"
PAGE = SPACES / "README.md"
SHIPPED = sorted(SPACES.glob("*.yaml"))
COLUMNS = (
    "File",
    "Search trials",
    "Students in all",
    "Epochs without reuse",
    "Epochs with reuse",
    "Times fewer",
    "Storage",
)


def table() -> str:
    """The table, a line for each space."""
    rows = [" | ".join(COLUMNS), "|".join(["---", *["---:"] * (len(COLUMNS) - 1)])]
    rows += [" | ".join(_cells(path)) for path in SHIPPED]
    return "\n".join(f"| {row} |" if "---" not in row else f"|{row}|" for row in rows)


def written(page: str) -> str:
    """The page with its table as it must be."""
    return filled(page, {"costs": table()})


@cache
def planned(path: Path) -> tuple[Space, Plan]:
    """The space of a file and what it costs; a plan takes seconds, and several tests ask for it."""
    space = load(path)
    return space, plan(space)


def _cells(path: Path) -> list[str]:
    space, found = planned(path)
    return [
        f"`{path.name}`",
        f"{found.trials}",
        f"{sum(phase.students for phase in found.phases):,.0f}",
        f"{found.without_reuse:,.0f}",
        f"{found.with_reuse:,.0f}",
        f"{found.without_reuse / found.with_reuse:.1f}",
        _storage(space, found),
    ]


def _storage(space: Space, found: Plan) -> str:
    images = known_images(space.resolve(space.defaults()).data)
    return "" if images is None else size(disk(space, found, images).total)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
