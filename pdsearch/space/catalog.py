"""Which names may a space file use? The registered models, methods, losses, sources and augmentations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdsearch.errors import ConfigError
from pdsearch.options import Options, takes_others
from pdsearch.specs import Params, PruneSpec

__all__ = ["FROM_TEACHER", "NO_PRUNING", "Catalog", "options_in", "registered"]

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
    from pdsearch.data.combining import canonical
    from pdsearch.data.registry import augmentations, sources
    from pdsearch.distillation.registry import losses
    from pdsearch.models.registry import models
    from pdsearch.models.trying import try_options
    from pdsearch.pruning.check import check
    from pdsearch.pruning.registry import methods
    from pdsearch.search.sampler import samplers

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
