"""Which methods, losses and models can a document choose? As far as it can be read before it is validated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pdsearch.space.catalog import NO_PRUNING, Catalog
from pdsearch.space.document import Node, node_at, to_plain
from pdsearch.specs import DistillSpec

__all__ = ["Selectable", "choices_of", "listed", "narrowed", "selectable_in"]

NETWORKS = ("teacher", "student")


@dataclass(frozen=True)
class Selectable:
    """The pruning methods, losses, models and data source that a space can choose.

    Args:
        methods: Known names; "none" leaves the teacher dense.
        losses: Known names.
        models: Known names by the field that can choose them, "teacher.model" or "student.model".
        sources: The known name of the data source, which is fixed; none where it is unknown.
        sure: All methods and losses the space chooses are known.
    """

    methods: tuple[str, ...]
    losses: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    sure: bool = True


def selectable_in(root: Node, catalog: Catalog) -> Selectable:
    """Return which methods, losses, models and data source a document can choose, as far as it can be read."""
    methods = choices_of(root, "prune", "method", NO_PRUNING)
    losses = choices_of(root, "distill", "loss", DistillSpec.loss)
    known = (NO_PRUNING, *catalog.methods)
    return Selectable(
        methods=tuple(m for m in methods if m in known),
        losses=tuple(x for x in losses if x in catalog.losses),
        models={
            f"{section}.model": tuple(
                m for m in choices_of(root, section, "model", "") if m in catalog.models
            )
            for section in NETWORKS
        },
        sources=tuple(x for x in choices_of(root, "data", "source", "") if x in catalog.sources),
        sure=set(methods) <= set(known) and set(losses) <= set(catalog.losses),
    )


def choices_of(root: Node, section: str, name: str, default: str) -> list[str]:
    """Return the words that a field of a section can be, fixed or searched, as far as the document can be read."""
    node = node_at(root, ("space", f"{section}.{name}")) or node_at(root, (section, name))
    form: Any = to_plain(node) if node is not None else default
    if isinstance(form, dict):
        # where its condition does not hold, the default does
        form = (
            [*form["choices"], *([default] if "when" in form else [])]
            if isinstance(form.get("choices"), list)
            else []
        )
    return list(
        dict.fromkeys(item for item in (form if isinstance(form, list) else [form]) if isinstance(item, str))
    )


def narrowed(node: Node, selectable: Selectable) -> Selectable:
    """Return the methods, losses and models for which a parameter counts, by its own `when`."""
    when: Any = to_plain(node)
    when = when.get("when") if isinstance(when, dict) else None
    if not isinstance(when, dict):
        return selectable
    methods, losses = (
        when.get("prune.method", selectable.methods),
        when.get("distill.loss", selectable.losses),
    )
    return replace(
        selectable,
        methods=tuple(m for m in selectable.methods if m in listed(methods)),
        losses=tuple(x for x in selectable.losses if x in listed(losses)),
        models={
            field: tuple(m for m in chosen if m in listed(when.get(field, chosen)))
            for field, chosen in selectable.models.items()
        },
    )


def listed(value: Any) -> Sequence[Any]:
    """Return the values of a condition, which may be one alone."""
    return value if isinstance(value, list | tuple) else (value,)
