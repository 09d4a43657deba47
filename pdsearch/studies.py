"""Which studies lie in a storage? A study is a folder that holds study.json; who names none is told which there are."""

import json
from difflib import get_close_matches
from typing import Any

from pdsearch.errors import ConfigError, StorageError
from pdsearch.storage import Place, exists, read, subfolders

__all__ = ["about", "description", "studies", "told"]

_FILE = "study.json"
_MOST = 8


def studies(root: Place) -> list[Place]:
    """Return the folders of a storage's studies."""
    return [root / name for name in subfolders(root) if exists(root / name / _FILE)]


def description(folder: Place) -> bytes:
    """Return what study.json of a folder holds.

    Raises:
        ConfigError: The folder is no study's; the hint names those nearby.
        StorageError: It cannot be read.
    """
    content = read(folder / _FILE)
    if content is None:
        raise ConfigError("there is no study here", where=str(folder), hint=_nearby(folder))
    return content


def about(folder: Place) -> dict[str, Any]:
    """Return what study.json of a folder says.

    Raises:
        ConfigError: The folder is no study's.
        StorageError: It cannot be read, or is torn.
    """
    return told(folder, description(folder))


def told(folder: Place, content: bytes) -> dict[str, Any]:
    """Return what the content of a folder's study.json says.

    Raises:
        StorageError: It is torn.
    """
    try:
        found = json.loads(content)
    except ValueError as error:
        raise _torn(folder, f"cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise _torn(folder, "is not the description of a study")
    return found


def _torn(folder: Place, what: str) -> StorageError:
    hint = "remove the file and run the study again: it is written anew, and no record is lost"
    return StorageError(what, where=str(folder / _FILE), hint=hint)


def _nearby(folder: Place) -> str:
    """Say which studies lie in a folder that is none, beside it, or in the storage that a space has by default."""
    for root in (folder, folder.parent, folder.parent / "runs"):
        found = {place.name: str(place) for place in studies(root)}
        if found:
            near = get_close_matches(folder.name, found, n=1)
            more = ", ..." if len(found) > _MOST else ""
            known = f"there are: {', '.join(list(found.values())[:_MOST])}{more}"
            return f"did you mean {found[near[0]]}? {known}" if near else known
    return "name the folder of a study: <storage>/<study>"
