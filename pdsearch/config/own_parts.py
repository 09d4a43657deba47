"""Import of the user code that a document names, and the options that it accepts."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from pdsearch.config.catalog import Catalog, choices_of, options_in
from pdsearch.config.problems import Problems
from pdsearch.config.yaml_tree import Node, Path, dotted, mark_of, node_at, to_plain
from pdsearch.errors import ConfigError
from pdsearch.registry import NoParams, Registry
from pdsearch.user_code import Options, declared_by, is_dotted, load_dotted, takes_others

__all__ = ["with_own_code"]

FIELDS = {"teacher": "model", "student": "model", "prune": "method", "distill": "loss", "search": "sampler"}
"""Section -> its field that may name user code."""

READER, READER_FIELD = "callable", "data.options.function"
"""The data source that calls user code, and the option that names the function."""


def with_own_code(catalog: Catalog, root: Node, problems: Problems) -> Catalog:
    """Return a catalog extended by the callables that a document names; the registries are not changed.

    What cannot be imported is reported, and then treated as known, so that it is not reported twice.
    """
    models = {
        name: _options(root, field, name, problems) for field, name in _named(root, "teacher", "student")
    }
    methods, losses = (
        {name: _params(root, field, name, problems) for field, name in _named(root, section)}
        for section in ("prune", "distill")
    )
    samplers = {name for field, name in _named(root, "search") if _sampler(root, field, name, problems)}
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


def _named(root: Node, *sections: str) -> Iterable[tuple[str, str]]:
    for section in sections:
        field = FIELDS[section]
        for name in choices_of(root, section, field, ""):
            if is_dotted(name):
                yield f"{section}.{field}", name


def _options(root: Node, field: str, name: str, problems: Problems) -> Options:
    from pdsearch.models.registry import models  # loads torch

    try:
        return options_in(models.get(name))
    except ConfigError as error:
        _note(root, field, error, problems)
        return Options(others=True)


def _sampler(root: Node, field: str, name: str, problems: Problems) -> bool:
    """Report a sampler that cannot be imported; it is treated as known either way."""
    from pdsearch.search.optuna_backend.sampler import samplers  # loads Optuna

    try:
        samplers.get(name)
    except ConfigError as error:
        _note(root, field, error, problems)
    return True


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


def _params(root: Node, field: str, name: str, problems: Problems) -> type[Any]:
    from pdsearch.distillation.registry import losses  # loads torch
    from pdsearch.pruning.registry import methods

    registry: Registry[Any] = methods if field == "prune.method" else losses
    try:
        params: type[Any] = registry.get(name).params
    except ConfigError as error:
        _note(root, field, error, problems)
        return NoParams
    return params


def _note(root: Node, field: str, error: ConfigError, problems: Problems) -> None:
    path: Path = ("space", field)
    if node_at(root, path) is None:
        path = tuple(field.split("."))
    problems.add(error.what, mark_of(root, path), key=dotted(path), hint=error.hint)
