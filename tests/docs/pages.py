"""The pages of methods and losses, written from the registries; run this module to write them."""

from collections.abc import Callable
from pathlib import Path

from pdsearch.cli.verbs.list import PartDescription, describe, names
from pdsearch.distillation.registry import losses
from pdsearch.pruning.registry import PruningMethod, methods

DOCS = Path(__file__).parents[2] / "docs"
NOTICE = "Written from the registries by `python -m tests.docs.pages`; edit the docstrings instead."


def methods_index() -> str:
    """The page that leads to every pruning method."""
    opening = (
        "A method gives scores; selection, masks, schedules and recovery are the same for all of them, and so is what"
        " ratio each layer gets: [`prune.scope`](space.md#prune). Name one as `prune.method`, its parameters as"
        " `prune.params.NAME`. One of your own is a file more:"
        " [CONTRIBUTING](../CONTRIBUTING.md#add-a-pruning-method-in-5-minutes)."
    )
    return _index("methods", "Pruning methods", opening)


def losses_index() -> str:
    """The page that leads to every distillation loss."""
    opening = (
        "Name one as `distill.loss`, its parameters as `distill.NAME`; one of your own as `package.module:function`:"
        " [the space file](space.md#code-of-your-own)."
    )
    return _index("losses", "Distillation losses", opening)


def part_page(kind: str, name: str) -> str:
    """The page of one method or loss: formula, when to use it, what it costs, where it is from, what can be set."""
    part, traits = describe(kind, name), TRAITS[kind](name)
    field = {"methods": "prune.method", "losses": "distill.loss"}[kind]
    paragraphs = [f"# {name}", f"`{field}: {name}`", part.summary, part.details, traits]
    for title, text in (("When to use it", part.when), ("What it costs", part.cost), ("Source", part.source)):
        paragraphs.append(f"**{title}.** {text}")
    paragraphs += [_parameters(part), f"[All {kind}](../{kind}.md). {NOTICE}"]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def _index(kind: str, title: str, opening: str) -> str:
    rows = ["| Name | What it is | Takes |", "|---|---|---|"]
    for name in names(kind):
        what = describe(kind, name).summary.replace("|", "\\|")
        rows.append(f"| [{name}]({kind}/{name}.md) | {what} | {TRAITS[kind](name)} |")
    return "\n\n".join([f"# {title}", opening, NOTICE, "\n".join(rows)]) + "\n"


def _parameters(part: PartDescription) -> str:
    if not part.parameters:
        return "It has no parameters."
    lines = ["| Parameter | Default | Range | What it does |", "|---|---|---|---|"]
    for p in part.parameters:
        legal = p.range.replace("|", "or")
        lines.append(f"| `{p.name}` | {p.default} | {legal} | {p.help} |")
    return "\n".join(lines)


def _method_traits(name: str) -> str:
    entry = methods.get(name)
    words = [
        _removed(entry),
        "Needs images." if entry.needs_data else "Needs no images.",
    ]
    if len(entry.at) == 1:
        words.append(f"Only with `prune.at: {entry.at[0]}`.")
    if len(entry.schedules) == 1:
        words.append(f"Only with `prune.schedule: {entry.schedules[0]}`.")
    if len(entry.scopes) == 1:
        words.append(f"Only with `prune.scope: {entry.scopes[0]}`.")
    return " ".join(words)


def _removed(entry: PruningMethod) -> str:
    if not entry.removes:
        return "Removes nothing."
    return "Removes whole channels." if entry.structured else "Removes single weights."


def _loss_traits(name: str) -> str:
    entry = losses.get(name)
    words = ["Needs a teacher." if entry.needs_teacher else "Needs no teacher."]
    if entry.features:
        words.append(f"Compares features: {', '.join(f'`{pattern}`' for pattern in entry.features)}.")
    if entry.adapter is not None:
        words.append("Trains an adapter beside the student.")
    return " ".join(words)


TRAITS: dict[str, Callable[[str], str]] = {"methods": _method_traits, "losses": _loss_traits}
PAGES: dict[str, Callable[[], str]] = {"methods.md": methods_index, "losses.md": losses_index} | {
    f"{kind}/{name}.md": lambda kind=kind, name=name: part_page(kind, name)
    for kind in TRAITS
    for name in names(kind)
}


def stale() -> list[Path]:
    """Return pages of parts that are gone."""
    return [
        path for kind in TRAITS for path in (DOCS / kind).glob("*.md") if f"{kind}/{path.name}" not in PAGES
    ]


def main() -> None:
    """Write all pages, and remove those of parts that are gone."""
    for kind in TRAITS:
        (DOCS / kind).mkdir(exist_ok=True)
    for file, page in PAGES.items():
        (DOCS / file).write_text(page(), encoding="utf-8")
    for path in stale():
        path.unlink()


if __name__ == "__main__":
    main()
