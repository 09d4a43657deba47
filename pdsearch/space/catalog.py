"""Which names may a space file use? The registered models, methods, losses, sources and augmentations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdsearch.errors import ConfigError
from pdsearch.specs import PruneSpec

__all__ = ["FROM_TEACHER", "NO_PRUNING", "Catalog", "option_names", "registered"]

NO_PRUNING = "none"
"""The choice of `prune.method` that leaves the teacher dense; no method is registered under it."""

FROM_TEACHER = "from_teacher"
"""The student whose shape follows the pruned teacher's masks; no model is registered under it."""


@dataclass(frozen=True)
class Catalog:
    """The names a space file may use, apart from the registries so that tests may bring their own.

    Args:
        sources: Data sources.
        augmentations: Augmentations of training views.
        models: Names of the options of each model; None where a model takes any.
        refused: Why a model that a document names is none, where there is more to say than that it is unknown.
        methods: Parameter dataclass of each pruning method.
        losses: Parameter dataclass of each distillation loss.
        canonical_augment: Returns the one way to write a combination of augmentations, or raises ConfigError; None
            takes single names as they are.
        check_pruning: Raises ConfigError where a method does not go with the rest; None accepts all.
    """

    sources: tuple[str, ...] = ()
    augmentations: tuple[str, ...] = ()
    models: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    refused: Mapping[str, ConfigError] = field(default_factory=dict)
    methods: Mapping[str, type[Any]] = field(default_factory=dict)
    losses: Mapping[str, type[Any]] = field(default_factory=dict)
    canonical_augment: Callable[[str], str] | None = None
    check_pruning: Callable[[PruneSpec], None] | None = None


def registered() -> Catalog:
    """Return the catalog of what is registered; this loads torch."""
    from pdsearch.data.combining import canonical
    from pdsearch.data.registry import augmentations, sources
    from pdsearch.distillation.registry import losses
    from pdsearch.models.registry import models
    from pdsearch.pruning.check import check
    from pdsearch.pruning.registry import methods

    return Catalog(
        sources=tuple(sources.names()),
        augmentations=tuple(augmentations.names()),
        models={name: option_names(models.get(name)) for name in models},
        methods={name: methods.get(name).params for name in methods},
        losses={name: losses.get(name).params for name in losses},
        canonical_augment=canonical,
        check_pruning=lambda spec: check(spec, methods.get(spec.method)),
    )


def option_names(builder: Callable[..., Any]) -> frozenset[str] | None:
    """Return the names of a model's options, by its builder's signature; None if it takes any."""
    from pdsearch.models.registry import options_of  # loads torch

    options = options_of(builder)
    return None if options is None else frozenset(options)
