"""What does a checked document amount to? A Space: defaults put in, parameters in order, the search decided."""

from dataclasses import replace
from typing import Any

from pdsearch.objectives import better_goal
from pdsearch.space.catalog import NO_PRUNING
from pdsearch.space.draft import Draft
from pdsearch.space.model import Confirm, Constraint, Halving, Objective, Resources, Search, Space
from pdsearch.space.order import in_order
from pdsearch.space.resolve import PRUNING_ONLY, frozen
from pdsearch.space.rules import section_defaults
from pdsearch.space.selectable import Selectable
from pdsearch.space.values import is_later, part_params
from pdsearch.space.without_validation import configurations, is_validated
from pdsearch.space.words import METRICS
from pdsearch.specs import Params

__all__ = ["assemble"]


def assemble(draft: Draft, selectable: Selectable, constraints: tuple[Constraint, ...], study: str) -> Space:
    """Return the space that a checked draft describes, every default in place.

    Args:
        draft: Nothing is wrong with it.
        selectable: The methods, losses and models it can choose.
        constraints: Its constraints, as they were read.
        study: Name of the study where the document has none.
    """
    from pdsearch.space.advice import notes_on, warnings_on  # loads torch, as the registries have by now

    file = draft.file
    return Space(
        study=file.study or study,
        fixed=_fixed(draft, selectable),
        parameters=in_order(draft.parameters),
        part_defaults=_parts(draft, selectable, later=False),
        part_laters=_parts(draft, selectable, later=True),
        search=_search(draft),
        objectives=_objectives(draft),
        constraints=constraints,
        confirm=_confirm(draft),
        resources=Resources(**file.resources.model_dump()),
        precision=file.precision,
        storage=file.storage,
        warnings=warnings_on(draft),
        notes=notes_on(draft),
    )


def _fixed(draft: Draft, selectable: Selectable) -> Params:
    values = {**section_defaults(), **draft.fixed}
    dense = set(selectable.methods) == {NO_PRUNING}
    return tuple(
        (name, frozen(value))
        for name, value in sorted(values.items())
        if name not in draft.parameters
        and not (dense and name.startswith(PRUNING_ONLY) and name != "prune.method")
    )


def _parts(draft: Draft, selectable: Selectable, *, later: bool) -> tuple[tuple[str, Params], ...]:
    """Return the defaults of the selectable parts: of parameters they always had, or of those they got later."""
    catalog = draft.catalog
    parts = {f"distill.{loss}": catalog.losses[loss] for loss in selectable.losses}
    parts |= {f"prune.{m}": catalog.methods[m] for m in selectable.methods if m != NO_PRUNING}
    found = {part: _defaults(params, later=later) for part, params in parts.items()}
    return tuple((part, values) for part, values in sorted(found.items()) if values or not later)


def _defaults(params: type[Any], *, later: bool) -> Params:
    unset, names = params(), sorted(part_params(params))
    return tuple((name, frozen(getattr(unset, name))) for name in names if is_later(params, name) is later)


def _search(draft: Draft) -> Search:
    search = draft.file.search
    stop = None
    if search.stop is not None:
        halving = search.stop.halving
        stop = Halving(search.stop.metric or METRICS[0], halving.min_epochs, halving.factor)
    return Search(
        trials=search.trials or (1 if is_validated(draft) else configurations(draft) or 1),
        sampler=search.sampler,
        seed=search.seed,
        timeout=search.timeout,
        stop=stop,
        max_failures=search.max_failures,
        concurrency=search.concurrency,
        trial_timeout=search.trial_timeout,
        ledger=search.ledger,
    )


def _confirm(draft: Draft) -> Confirm | None:
    confirm = draft.file.confirm
    if confirm is None:
        return None
    found = Confirm(**confirm.model_dump())
    # Without validation images no teacher leads: all are confirmed.
    return found if is_validated(draft) else replace(found, teachers=configurations(draft) or 1)


def _objectives(draft: Draft) -> tuple[Objective, ...]:
    file = draft.file
    if not file.objectives:
        # Without validation images a study's ledger still needs a number of every trial; it decides nothing.
        metric = METRICS[0] if is_validated(draft) else METRICS[1]
        return (Objective(metric, better_goal(metric)),)
    return tuple(Objective(o.metric, o.goal or better_goal(o.metric)) for o in file.objectives)
