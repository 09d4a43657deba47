"""The names a space file may use (registered parts, published models, user code), and those it can select."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from pdsearch.config.problems import Problems
from pdsearch.config.yaml_tree import Node, Path, every_node, node_at, to_plain
from pdsearch.errors import ConfigError
from pdsearch.registry import NoParams
from pdsearch.specs import DistillSpec, Params, PruneSpec
from pdsearch.user_code import Options, declared_by, is_dotted, load_dotted, takes_others

NO_PRUNING = "none"
"""The choice of `prune.method` that leaves the teacher dense; no method is registered under it."""

FROM_TEACHER = "from_teacher"
"""The student whose shape follows the pruned teacher's masks; no model is registered under it."""


@dataclass(frozen=True)
class Catalog:
    """The names a space file may use; separate from the registries so that tests can supply their own.

    Args:
        sources: Options of each data source.
        augmentations: Names of augmentations of training views.
        models: Options of each model.
        refused: Reasons why models that a document names are refused, where they are not simply unknown.
        methods: Parameter dataclass of each pruning method.
        losses: Parameter dataclass of each distillation loss.
        samplers: Names of samplers.
        canonical_augment: Returns the canonical form of a combination of augmentations, or raises ConfigError.
        check_options: Raises ConfigError if a model cannot be built with its options, with `where` options.NAME if it
            is known which one is the cause.
        check_pruning: Returns why a method does not fit the other pruning settings, an error each.
        has: Returns whether a method or loss that a document names has one of TRAITS.
    """

    sources: Mapping[str, Options] = field(default_factory=dict)
    augmentations: tuple[str, ...] = ()
    models: Mapping[str, Options] = field(default_factory=dict)
    refused: Mapping[str, ConfigError] = field(default_factory=dict)
    methods: Mapping[str, type[Any]] = field(default_factory=dict)
    losses: Mapping[str, type[Any]] = field(default_factory=dict)
    samplers: tuple[str, ...] = ()
    canonical_augment: Callable[[str], str] = str
    check_options: Callable[[str, Params], object] = lambda _model, _options: None
    check_pruning: Callable[[PruneSpec], Sequence[ConfigError]] = lambda _spec: ()
    has: Callable[[str, str], bool] = lambda _trait, _part: True


def registered() -> Catalog:
    """Return the catalog of all registered parts; this imports torch and Optuna."""
    from pdsearch.data.augmentation_parser import canonical
    from pdsearch.data.registry import augmentations, sources
    from pdsearch.distillation.registry import losses
    from pdsearch.models.registry import models, try_options
    from pdsearch.pruning.registry import methods
    from pdsearch.pruning.spec_check import refusals
    from pdsearch.search.optuna_backend.sampler import samplers

    return Catalog(
        sources={name: sources.get(name).options for name in sources},
        augmentations=tuple(augmentations.names()),
        models={name: options_in(models.get(name)) for name in models},
        methods={name: methods.get(name).params for name in methods},
        losses={name: losses.get(name).params for name in losses},
        samplers=tuple(samplers.names()),
        canonical_augment=canonical,
        check_options=try_options,
        check_pruning=lambda spec: refusals(spec, methods.get(spec.method)),
        has=lambda trait, part: _holds(TRAITS[trait], part),
    )


TRAITS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "removes weights": ("prune", lambda method: method.removes and not method.structured),
    "removes channels": ("prune", lambda method: method.removes and method.structured),
    "removes": ("prune", lambda method: method.removes),
    "hears": ("distill", lambda loss: loss.needs_teacher),
    "compares features": ("distill", lambda loss: bool(loss.features)),
}
"""What a space asks about a method or a loss: its section, and the answer of its registry's entry."""


def _holds(trait: tuple[str, Callable[[Any], bool]], part: str) -> bool:
    section, answer = trait
    module, _, attribute = OWN_CODE[section][1].partition(":")
    try:
        return answer(getattr(import_module(module), attribute).get(part))
    except ConfigError:  # It is reported where it is named.
        return True


def options_in(builder: Callable[..., Any]) -> Options:
    """Return a model's options, from its builder's signature."""
    from pdsearch.models.registry import options_of  # loads torch

    types = {name: declared.annotation for name, declared in options_of(builder).items()}
    return Options(types, takes_others(builder))


NETWORKS = ("teacher", "student")


@dataclass(frozen=True)
class Selectable:
    """The pruning methods, losses, models and data source that a space can select.

    Args:
        methods: Known names; "none" leaves the teacher dense.
        losses: Known names.
        models: Known names by the field that can select them, "teacher.model" or "student.model".
        sources: Known name of the data source, which is fixed; empty where it is unknown.
        sure_methods: Whether all methods that the space selects are known.
        sure_losses: Whether all its losses are.
    """

    methods: tuple[str, ...]
    losses: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    sure_methods: bool = True
    sure_losses: bool = True


def selectable_in(root: Node, catalog: Catalog) -> Selectable:
    """Return the methods, losses, models and data source a document can select, as far as it can be read."""
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
        sure_methods=set(methods) <= set(known),
        sure_losses=set(losses) <= set(catalog.losses),
    )


def choices_of(root: Node, section: str, name: str, default: str) -> list[str]:
    """Return the strings that a field can be, fixed or searched, as far as the document can be read."""
    node = node_at(root, ("space", f"{section}.{name}")) or node_at(root, (section, name))
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
        methods=tuple(m for m in selectable.methods if m in listed(methods)),
        losses=tuple(x for x in selectable.losses if x in listed(losses)),
        models={
            field: tuple(m for m in chosen if m in listed(when.get(field, chosen)))
            for field, chosen in selectable.models.items()
        },
    )


def listed(value: object) -> Sequence[Any]:
    """Return the values of a condition as a sequence; it may be written as a single value."""
    return value if isinstance(value, list | tuple) else (value,)


PUBLISHED = ("torchvision/", "timm/")
"""Prefixes of the names of other libraries' models."""


def with_published(catalog: Catalog, root: Node) -> Catalog:
    """Return a catalog extended by the published models that a document names, and the reasons to refuse others."""
    texts = (node.value for _, node in every_node(root))
    wanted = {text for text in texts if isinstance(text, str) and text.startswith(PUBLISHED)}
    if not wanted:
        return catalog
    from pdsearch.models.registry import models  # loads torch, and the libraries with the names

    found, refused = {}, {}
    for name in sorted(wanted):
        try:
            found[name] = options_in(models.get(name))
        except ConfigError as error:
            refused[name] = error
    return dataclasses.replace(catalog, models={**catalog.models, **found}, refused=refused)


OWN_CODE = {
    "teacher": ("model", "pdsearch.models.registry:models"),
    "student": ("model", "pdsearch.models.registry:models"),
    "prune": ("method", "pdsearch.pruning.registry:methods"),
    "distill": ("loss", "pdsearch.distillation.registry:losses"),
    "search": ("sampler", "pdsearch.search.optuna_backend.sampler:samplers"),
}
"""Section -> its field that may name user code, and the registry (module:name) that finds it."""

READER, READER_FIELD = "callable", "data.options.function"
"""The data source that calls user code, and the option that names the function."""


def with_own_code(catalog: Catalog, root: Node, problems: Problems) -> Catalog:
    """Return a catalog extended by the callables that a document names; the registries are not changed.

    What cannot be imported is reported, and then treated as known, so that it is not reported twice.
    """
    models = {
        name: Options(others=True) if builder is None else options_in(builder)
        for name, builder in _own(root, problems, "teacher", "student").items()
    }
    methods, losses = (
        {
            name: NoParams if part is None else part.params
            for name, part in _own(root, problems, section).items()
        }
        for section in ("prune", "distill")
    )
    samplers = _own(root, problems, "search")
    sources = _reader(root, catalog, problems) if READER in catalog.sources else {}
    if not (models or methods or losses or samplers or sources):
        return catalog
    return dataclasses.replace(
        catalog,
        sources={**catalog.sources, **sources},
        models={**catalog.models, **models},
        methods={**catalog.methods, **methods},
        losses={**catalog.losses, **losses},
        samplers=(*catalog.samplers, *samplers),
    )


def _own(root: Node, problems: Problems, *sections: str) -> dict[str, Any]:
    """Return the user's callables that sections name, as registries find them; None for what cannot be imported."""
    found: dict[str, Any] = {}
    for section in sections:
        field, registry = OWN_CODE[section]
        module, _, attribute = registry.partition(":")
        for name in filter(is_dotted, choices_of(root, section, field, "")):
            try:
                # Imported where user code is named only: a registry loads torch or Optuna.
                found[name] = getattr(import_module(module), attribute).get(name)
            except ConfigError as error:
                _note(root, f"{section}.{field}", error, problems)
                found[name] = None
    return found


def _reader(root: Node, catalog: Catalog, problems: Problems) -> dict[str, Options]:
    """Return the data source that calls a function, with the function's arguments as its options."""
    node = node_at(root, tuple(READER_FIELD.split(".")))
    name = node and to_plain(node)
    if READER not in choices_of(root, "data", "source", "") or not isinstance(name, str):
        return {}
    try:
        function = load_dotted(name)
    except ConfigError as error:
        _note(root, READER_FIELD, error, problems)
        return {}
    try:
        declared = {option: argument.annotation for option, argument in declared_by(function).items()}
    except (TypeError, ValueError):
        return {}  # Without a signature (written in C) it may accept anything.
    types = {**declared, **catalog.sources[READER].types}
    return {READER: Options(types, takes_others(function))}


def _note(root: Node, field: str, error: ConfigError, problems: Problems) -> None:
    path: Path = ("space", field)
    if node_at(root, path) is None:
        path = tuple(field.split("."))
    problems.add_at(root, path, error.what, error.hint)
