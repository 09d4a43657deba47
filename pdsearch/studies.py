"""Which studies lie in a storage? A study is a folder that holds study.json; who names none is told which there are."""

from difflib import get_close_matches
from typing import Any

from pdsearch.errors import ConfigError, StorageError
from pdsearch.records import parse_record
from pdsearch.storage import Place, exists, read, subfolders

__all__ = ["begun", "description", "studies"]

_FILE = "study.json"
_MOST = 8


def studies(root: Place) -> list[Place]:
    """Return the folders of a storage's studies."""
    return [root / name for name in subfolders(root) if exists(root / name / _FILE)]


def description(folder: Place) -> dict[str, Any]:
    """Return what study.json of a folder holds.

    Raises:
        ConfigError: The folder is no study's; the hint names those nearby.
        StorageError: It cannot be read, or is torn.
    """
    about = begun(folder)
    if about is None:
        raise ConfigError("there is no study here", where=str(folder), hint=_nearby(folder))
    return about


def begun(folder: Place) -> dict[str, Any] | None:
    """Return what study.json of a folder holds; None where no study was begun.

    Raises:
        StorageError: It cannot be read, or is torn.
    """
    content = read(folder / _FILE)
    if content is None:
        return None
    try:
        about = parse_record(content)
    except ValueError as error:
        raise _torn(folder, str(error)) from None
    if not isinstance(about.get("space"), dict):
        raise _torn(folder, "does not describe a study")
    return about


def _torn(folder: Place, what: str) -> StorageError:
    # Who runs the same space without it writes it anew, beside the records of what finished.
    hint = (
        "copy it from where it is whole; or remove the file and run the study again, its space file unchanged:"
        " it is written anew, and what finished counts"
    )
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
