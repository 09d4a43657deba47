"""What do docs/methods.md and docs/losses.md say? What the registries say; run this module to write them."""

from pathlib import Path

from pdsearch.cli.catalogue import Part, describe, names
from pdsearch.distillation.registry import losses
from pdsearch.pruning.registry import methods

DOCS = Path(__file__).parents[2] / "docs"
NOTICE = "Written from the registries by `python -m tests.docs.pages`; edit the docstrings instead."


def methods_page() -> str:
    """The page of all pruning methods."""
    opening = (
        "A method gives scores; selection, masks, schedules and recovery are the same for all of them. Name one as"
        " `prune.method`, its parameters as `prune.params.NAME`."
    )
    sections = [_section(describe("methods", name), _method_traits(name)) for name in names("methods")]
    return _page("Pruning methods", opening, sections)


def losses_page() -> str:
    """The page of all distillation losses."""
    opening = "Name one as `distill.loss`, its parameters as `distill.NAME`."
    sections = [_section(describe("losses", name), _loss_traits(name)) for name in names("losses")]
    return _page("Distillation losses", opening, sections)


def _page(title: str, opening: str, sections: list[str]) -> str:
    return "\n\n".join([f"# {title}", opening, NOTICE, *sections]) + "\n"


def _section(part: Part, traits: str) -> str:
    lines = [f"## {part.name}", "", part.summary, "", f"{traits} Source: {part.source}"]
    if part.parameters:
        lines += ["", "| Parameter | Default | Range | What it does |", "|---|---|---|---|"]
        for p in part.parameters:
            legal = p.range.replace("|", "or")
            lines.append(f"| `{p.name}` | {p.default} | {legal} | {p.help} |")
    return "\n".join(lines)


def _method_traits(name: str) -> str:
    entry = methods.get(name)
    words = [
        "Removes whole channels." if entry.structured else "Removes single weights.",
        "Needs images." if entry.needs_data else "Needs no images.",
    ]
    if len(entry.at) == 1:
        words.append(f"Only with `prune.at: {entry.at[0]}`.")
    if len(entry.schedules) == 1:
        words.append(f"Only with `prune.schedule: {entry.schedules[0]}`.")
    if len(entry.scopes) == 1:
        words.append(f"Only with `prune.scope: {entry.scopes[0]}`.")
    return " ".join(words)


def _loss_traits(name: str) -> str:
    entry = losses.get(name)
    words = ["Needs a teacher." if entry.needs_teacher else "Needs no teacher."]
    if entry.features:
        words.append(f"Compares features: {', '.join(f'`{pattern}`' for pattern in entry.features)}.")
    if entry.adapter is not None:
        words.append("Trains an adapter beside the student.")
    return " ".join(words)


PAGES = {"methods.md": methods_page, "losses.md": losses_page}

if __name__ == "__main__":
    for file, page in PAGES.items():
        (DOCS / file).write_text(page(), encoding="utf-8")
