"""Source hashes and folders of the user's own code that a space names."""

from collections.abc import Mapping
from typing import Any

from pdsearch.config import Space
from pdsearch.distillation.registry import losses
from pdsearch.models import models
from pdsearch.pruning.registry import methods
from pdsearch.registry import Registry
from pdsearch.user_code import is_dotted, source_folder, source_hash

FIELDS: Mapping[str, Registry[Any]] = {
    "teacher.model": models,
    "student.model": models,
    "prune.method": methods,
    "distill.loss": losses,
}
READER = "data.options.function"
"""The function of the source `callable`; its images are identified by their content, so that it needs no hash."""


def own_code(space: Space) -> dict[str, str]:
    """Return the hash of the source file of every model, method and loss of a space that is not of pdsearch.

    Raises:
        ConfigError: One cannot be imported.
    """
    return {name: source_hash(name) for name in _named(space)}


def own_folders(space: Space) -> dict[str, str]:
    """Return the folder of each piece of own code, data functions included, installed packages left out.

    Raises:
        ConfigError: One cannot be imported.
    """
    readers = [name for name in _values(space, READER) if is_dotted(name)]
    found = {name: source_folder(name) for name in (*_named(space), *readers)}
    return {name: folder for name, folder in sorted(found.items()) if folder is not None}


def _named(space: Space) -> list[str]:
    named = [registry.own_name(name) for field, registry in FIELDS.items() for name in _values(space, field)]
    starts = [value["method"] for name, value in space.fixed if name == "student.start"]
    named += map(methods.own_name, starts)
    return sorted({name for name in named if name is not None})


def _values(space: Space, field: str) -> list[str]:
    named = [str(value) for name, value in space.fixed if name == field]
    return named + [str(choice) for p in space.parameters if p.name == field for choice in p.choices]
