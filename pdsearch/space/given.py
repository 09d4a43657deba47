"""Are the values that sections give right? Each is given once, and legal where only the chosen part knows its rule."""

from pydantic import ValidationError

from pdsearch.space.catalog import NO_PRUNING
from pdsearch.space.complaints import add_complaints
from pdsearch.space.document import Mark, dotted, mark_of
from pdsearch.space.draft import Draft, path_of
from pdsearch.space.problems import nearest, show
from pdsearch.space.rules import rule_of, takers
from pdsearch.space.selectable import Selectable

__all__ = ["check_conflicts", "check_part_values"]


def check_conflicts(draft: Draft) -> None:
    """Refuse a name that is both fixed in a section and declared under `space`."""
    for name, mark in draft.declared.marks.items():
        if name in draft.given:
            first = mark_of(draft.root, path_of(name), key=True)
            lines = f": {_place(first)} and {_place(mark)}" if first.line or mark.line else ""
            what = f"{name} stands twice, in its section and under space{lines}"
            # Whoever overrides a searched field by its plain name meant to fix it.
            override = mark.line and not first.line
            hint = (
                f"to fix what is searched: --set space.{name}=VALUE" if override else "remove one of the two"
            )
            draft.problems.add(what, mark, key=dotted(("space", name)), hint=hint)


def _place(mark: Mark) -> str:
    return f"line {mark.line}" if mark.line else mark.source


def check_part_values(draft: Draft, selectable: Selectable) -> None:
    """Check the parameters of losses and methods, and options of models and of the data, that stand in sections."""
    for name, value in list(draft.given.items()):
        rule = rule_of(name, draft.catalog, selectable)
        if rule is None:
            _refuse(draft, name, selectable)
            continue
        try:
            draft.given[name] = rule.read(value, draft.catalog)
        except ValidationError as error:
            add_complaints(error, None, draft.root, draft.problems, at=path_of(name))


def _refuse(draft: Draft, name: str, selectable: Selectable) -> None:
    section, _, field = name.rpartition(".")
    losses = [f for x in selectable.losses for f in draft.catalog.losses[x].__dataclass_fields__]
    methods = [
        f
        for m in selectable.methods
        if m != NO_PRUNING
        for f in draft.catalog.methods[m].__dataclass_fields__
    ]
    options = [o for known in takers(section, draft.catalog, selectable) for o in known.types]
    known = {"distill": ["loss", "seed", "view_seed", *losses], "prune.params": methods}.get(section, options)
    known = sorted(set(known))
    draft.complain(
        f"unknown key {show(field)}", name, f"{nearest(field, known)}known: {', '.join(known) or 'none'}"
    )
