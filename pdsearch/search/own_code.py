"""Which code of the user's own does a space name, and what is it known by?"""

from pdsearch.dotted import is_dotted, source_folder, source_hash
from pdsearch.space import Space

__all__ = ["own_code", "own_folders"]

FIELDS = ("teacher.model", "student.model", "prune.method", "distill.loss")
READER = "data.options.function"
"""The function of the source `callable`; its images are known by their content, so that it has no hash."""


def own_code(space: Space) -> dict[str, str]:
    """Return the hash of the source file of every model, method and loss that a space names by dotted path.

    Raises:
        ConfigError: One cannot be imported.
    """
    return {name: source_hash(name) for name in _named(space, FIELDS)}


def own_folders(space: Space) -> dict[str, str]:
    """Return the folder each piece of own code lies in, data functions included, but for what is installed.

    Raises:
        ConfigError: One cannot be imported.
    """
    found = {name: source_folder(name) for name in _named(space, (*FIELDS, READER))}
    return {name: folder for name, folder in found.items() if folder is not None}


def _named(space: Space, fields: tuple[str, ...]) -> list[str]:
    named = [str(value) for name, value in space.fixed if name in fields]
    named += [str(choice) for p in space.parameters if p.name in fields for choice in p.choices]
    return [name for name in sorted(set(named)) if is_dotted(name)]
