"""The parts that a space file may name, registered, published or the user's own, and those it can select."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from pdsearch.config.problems import Problems
from pdsearch.config.yaml_tree import Node, node_at, to_plain
from pdsearch.errors import ConfigError
from pdsearch.registry import AnyRegistry
from pdsearch.specs import DistillSpec
from pdsearch.user_code import Options, declared_by, load_dotted, takes_others

NO_PRUNING = "none"
"""The choice of `prune.method` that leaves the teacher dense; no method is registered under it."""

FROM_TEACHER = "from_teacher"
"""The student whose shape follows the pruned teacher's masks; no model is registered under it."""

PUBLISHED = ("torchvision/", "timm/")
"""Prefixes of the names of other libraries' models."""

_REGISTRIES = {
    "data.source": "pdsearch.data.registry:sources",
    "data.augment": "pdsearch.data.registry:augmentations",
    "teacher.model": "pdsearch.models.registry:models",
    "student.model": "pdsearch.models.registry:models",
    "prune.method": "pdsearch.pruning.registry:methods",
    "distill.loss": "pdsearch.distillation.registry:losses",
    "search.sampler": "pdsearch.search.optuna_backend.sampler:samplers",
}
"""The fields that name a part -> the registry (module:name) that finds it."""

_BESIDE = {"prune.method": (NO_PRUNING,), "student.model": (FROM_TEACHER,)}
"""What such a field may say beside the names of its registry."""


def registry(field: str) -> AnyRegistry:
    """Return the registry of a field's parts; it is imported now, which may load torch or Optuna."""
    module, _, attribute = _REGISTRIES[field].partition(":")
    found: AnyRegistry = getattr(import_module(module), attribute)
    return found


def registered_names(field: str) -> list[str]:
    """Return all registered names that a field may say, sorted."""
    return sorted([*_BESIDE.get(field, ()), *registry(field).names()])


def part(field: str, name: str) -> Any:
    """Return a part as its registry holds it; None for one that is not found, which is reported where it is named."""
    try:
        return registry(field).get(name)
    except ConfigError:
        return None


def params_of(field: str, name: str) -> type[Any] | None:
    """Return the parameter dataclass of a method or a loss; None for one that is not found."""
    found = part(field, name)
    return None if found is None else found.params


def model_options(name: str) -> Options:
    """Return the options of a model, from its builder's signature; none of one that is not found."""
    from pdsearch.models.registry import options_of  # loads torch

    builder = part("teacher.model", name)
    if builder is None:
        return Options()
    types = {option: declared.annotation for option, declared in options_of(builder).items()}
    return Options(types, takes_others(builder))


TRAITS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "removes weights": ("prune.method", lambda method: method.removes and not method.structured),
    "removes channels": ("prune.method", lambda method: method.removes and method.structured),
    "removes": ("prune.method", lambda method: method.removes),
    "hears": ("distill.loss", lambda loss: loss.needs_teacher),
    "compares features": ("distill.loss", lambda loss: bool(loss.features)),
}
"""What a space asks about a method or a loss: its field, and the answer of its registry's entry."""


def has(trait: str, name: str) -> bool:
    """Return whether a method or a loss has one of TRAITS; True for one that is not found."""
    field, answer = TRAITS[trait]
    found = part(field, name)
    return found is None or answer(found)


@dataclass(frozen=True)
class Selectable:
    """The pruning methods, losses, models and data source that a space can select.

    Args:
        methods: Known names; "none" leaves the teacher dense.
        losses: Known names.
        models: Known names by the field that can select them, "teacher.model" or "student.model".
        sources: The options of the data source, by its name; empty where it is unknown.
        sure_methods: Whether all methods that the space selects are known.
        sure_losses: Whether all its losses are.
    """

    methods: tuple[str, ...]
    losses: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, Options] = field(default_factory=dict)
    sure_methods: bool = True
    sure_losses: bool = True


def selectable_in(root: Node, problems: Problems) -> Selectable:
    """Return the methods, losses, models and data source a document can select, as far as it can be read."""
    methods = choices_of(root, "prune.method", NO_PRUNING)
    losses = choices_of(root, "distill.loss", DistillSpec.loss)
    known_methods = tuple(m for m in methods if m == NO_PRUNING or part("prune.method", m))
    known_losses = tuple(x for x in losses if part("distill.loss", x))
    return Selectable(
        methods=known_methods,
        losses=known_losses,
        models={
            field: tuple(m for m in choices_of(root, field, "") if part(field, m))
            for field in ("teacher.model", "student.model")
        },
        sources=_sources(root, problems),
        sure_methods=len(known_methods) == len(methods),
        sure_losses=len(known_losses) == len(losses),
    )


def choices_of(root: Node, field: str, default: str) -> list[str]:
    """Return the strings that a field can be, fixed or searched, as far as the document can be read."""
    node = node_at(root, ("space", field)) or node_at(root, tuple(field.split(".")))
    form: object = to_plain(node) if node is not None else default
    if isinstance(form, dict):
        # Where its condition does not hold, the field has its default.
        form = (
            [*form["choices"], *([default] if "when" in form else [])]
            if isinstance(form.get("choices"), list)
            else []
        )
    return list(
        dict.fromkeys(item for item in (form if isinstance(form, list) else [form]) if isinstance(item, str))
    )


READER, _FUNCTION = "callable", ("data", "options", "function")
"""The data source that calls user code, and the option that names the function."""


def _sources(root: Node, problems: Problems) -> dict[str, Options]:
    """Return the options of the selected data source; those of user code that reads images are its arguments."""
    named = choices_of(root, "data.source", "")
    found = {name: source.options for name in named if (source := part("data.source", name))}
    node = node_at(root, _FUNCTION)
    function = node and to_plain(node)
    if READER not in found or not isinstance(function, str):
        return found
    try:
        reader = load_dotted(function)
        declared = {option: argument.annotation for option, argument in declared_by(reader).items()}
    except ConfigError as error:
        problems.add_at(root, _FUNCTION, error.what, error.hint)
    except (TypeError, ValueError):
        pass  # Without a signature (written in C) it may accept anything.
    else:
        found[READER] = Options({**declared, **found[READER].types}, takes_others(reader))
    return found


def narrowed(node: Node, selectable: Selectable) -> Selectable:
    """Return the methods, losses and models for which a parameter is active, by its `when`."""
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
        methods=tuple(m for m in selectable.methods if m in as_sequence(methods)),
        losses=tuple(x for x in selectable.losses if x in as_sequence(losses)),
        models={
            field: tuple(m for m in chosen if m in as_sequence(when.get(field, chosen)))
            for field, chosen in selectable.models.items()
        },
    )


def as_sequence(value: object) -> Sequence[Any]:
    """Return the values of a condition as a sequence; it may be written as a single value."""
    return value if isinstance(value, list | tuple) else (value,)
