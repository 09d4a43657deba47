"""Names a space file may use: registered parts, torchvision's models, and what a document can choose of them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pdsearch.config.yaml_tree import Node, node_at, to_plain
from pdsearch.errors import ConfigError
from pdsearch.specs import DistillSpec, Params, PruneSpec
from pdsearch.user_code import Options, takes_others

__all__ = [
    "FROM_TEACHER",
    "NO_PRUNING",
    "TORCHVISION",
    "Catalog",
    "Selectable",
    "choices_of",
    "listed",
    "narrowed",
    "options_in",
    "registered",
    "selectable_in",
    "with_published",
]

NO_PRUNING = "none"
"""The choice of `prune.method` that leaves the teacher dense; no method is registered under it."""

FROM_TEACHER = "from_teacher"
"""The student whose shape follows the pruned teacher's masks; no model is registered under it."""


@dataclass(frozen=True)
class Catalog:
    """The names a space file may use, apart from the registries so that tests may bring their own.

    Args:
        sources: The options of each data source.
        augmentations: Augmentations of training views.
        models: The options of each model.
        refused: Why a model that a document names is none, where there is more to say than that it is unknown.
        methods: Parameter dataclass of each pruning method.
        losses: Parameter dataclass of each distillation loss.
        samplers: Samplers.
        canonical_augment: Returns the one way to write a combination of augmentations, or raises ConfigError; None
            takes single names as they are.
        check_options: Raises ConfigError where a model cannot be built with its options, its `where` options.NAME if it
            is known which is to blame; None accepts all.
        check_pruning: Raises ConfigError where a method does not go with the rest; None accepts all.
    """

    sources: Mapping[str, Options] = field(default_factory=dict)
    augmentations: tuple[str, ...] = ()
    models: Mapping[str, Options] = field(default_factory=dict)
    refused: Mapping[str, ConfigError] = field(default_factory=dict)
    methods: Mapping[str, type[Any]] = field(default_factory=dict)
    losses: Mapping[str, type[Any]] = field(default_factory=dict)
    samplers: tuple[str, ...] = ()
    canonical_augment: Callable[[str], str] | None = None
    check_options: Callable[[str, Params], None] | None = None
    check_pruning: Callable[[PruneSpec], None] | None = None


def registered() -> Catalog:
    """Return the catalog of what is registered; this loads torch and Optuna."""
    from pdsearch.data.augmentation_parser import canonical
    from pdsearch.data.registry import augmentations, sources
    from pdsearch.distillation.registry import losses
    from pdsearch.models.registry import models, try_options
    from pdsearch.pruning.registry import methods
    from pdsearch.pruning.spec_check import check
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
        check_pruning=lambda spec: check(spec, methods.get(spec.method)),
    )


def options_in(builder: Callable[..., Any]) -> Options:
    """Return a model's options, by its builder's signature."""
    from pdsearch.models.registry import options_of  # loads torch

    types = {name: declared.annotation for name, declared in options_of(builder).items()}
    return Options(types, takes_others(builder))


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


TORCHVISION = "torchvision/"


def with_published(catalog: Catalog, root: Node) -> Catalog:
    """Return a catalog that knows the models of torchvision that a document names, and why others are none."""
    wanted = {text for text in _texts(root) if text.startswith(TORCHVISION)}
    if not wanted:
        return catalog
    from pdsearch.models.registry import models  # loads torch, and torchvision with the names

    found, refused = {}, {}
    for name in sorted(wanted):
        try:
            found[name] = options_in(models.get(name))
        except ConfigError as error:
            refused[name] = error
    return dataclasses.replace(catalog, models={**catalog.models, **found}, refused=refused)


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node.value, dict):
        for child in node.value.values():
            yield from _texts(child)
    elif isinstance(node.value, list):
        for child in node.value:
            yield from _texts(child)
    elif isinstance(node.value, str):
        yield node.value
