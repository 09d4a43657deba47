"""Studies of a storage: folders that contain a study.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal

from pdsearch.codec import DecodeError, decode
from pdsearch.errors import ConfigError, StorageError
from pdsearch.io import Place, UnfitFileError, exists, read, subfolders
from pdsearch.io.record_files import MOST_BYTES, parse_record
from pdsearch.trial_record import NewerFormatError, check_format

__all__ = ["begun", "description", "shown", "studies"]

_FILE = "study.json"
_MOST = 8


@dataclass(frozen=True)
class _Objective:
    extensible: ClassVar[bool] = True
    metric: str
    goal: Literal["maximize", "minimize"]


@dataclass(frozen=True)
class _Parameter:
    extensible: ClassVar[bool] = True
    choices: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.choices is None and (self.low is None or self.high is None):
            raise DecodeError("has neither choices nor a range")


@dataclass(frozen=True)
class _Space:
    extensible: ClassVar[bool] = True
    objectives: tuple[_Objective, ...] = ()
    space: Mapping[str, _Parameter] = field(default_factory=dict)


@dataclass(frozen=True)
class _Data:
    extensible: ClassVar[bool] = True
    fingerprint: str


@dataclass(frozen=True)
class _Description:
    """The fields of study.json that readers rely on; docs/records.md lists all of them."""

    extensible: ClassVar[bool] = True
    study: str
    space: _Space
    precision: str = ""
    data: _Data = _Data("")
    checkpoints: tuple[str, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    code_folders: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    created_at: str = ""


def studies(root: Place) -> list[Place]:
    """Return the folders of a storage's studies."""
    return [root / name for name in subfolders(root) if exists(root / name / _FILE)]


def shown(place: Place) -> str:
    """Return a path as text, relative to the current folder where it lies inside; a URL as it is."""
    try:
        return str(place.relative_to(Path.cwd()) if isinstance(place, Path) else place)
    except (ValueError, OSError):
        # Outside; or the current folder is gone: Ray removes that of a job when its driver ends.
        return str(place)


def description(folder: Place) -> dict[str, Any]:
    """Return the content of a folder's study.json.

    Raises:
        ConfigError: The folder is no study's; the hint names studies nearby.
        StorageError: It cannot be read, or is damaged.
    """
    if isinstance(folder, Path) and folder.exists() and not folder.is_dir():
        raise ConfigError("is a file, and a study is a folder", where=str(folder), hint=_nearby(folder))
    about = begun(folder)
    if about is None:
        raise ConfigError("there is no study here", where=str(folder), hint=_nearby(folder))
    return about


def begun(folder: Place) -> dict[str, Any] | None:
    """Return the content of a folder's study.json; None if there is none.

    Raises:
        StorageError: It cannot be read, or is damaged.
    """
    try:
        content = read(folder / _FILE, MOST_BYTES)
        if content is None:
            return None
        about = parse_record(content)
        check_format(about)
        decode(_Description, about)
    except NewerFormatError as error:
        hint = "use that version, or a newer one"
        raise StorageError(str(error), where=str(folder / _FILE), hint=hint) from None
    except UnfitFileError as error:
        raise _torn(folder, error.what) from None
    except ValueError as error:
        raise _torn(folder, str(error)) from None
    return about


def _torn(folder: Place, what: str) -> StorageError:
    # Running the same space without the file writes it again; the finished records beside it are kept.
    hint = (
        "copy it from where it is whole; or remove the file and run the study again, its space file unchanged:"
        " it is written anew, and what finished counts"
    )
    return StorageError(what, where=str(folder / _FILE), hint=hint)


def _nearby(folder: Place) -> str:
    """Return a hint that lists the studies inside a folder, beside it, or in the default storage next to it."""
    for root in (folder, folder.parent, folder.parent / "runs"):
        found = {place.name: str(place) for place in studies(root)}
        if found:
            near = get_close_matches(folder.name.removesuffix(".yaml"), found, n=1)
            more = ", ..." if len(found) > _MOST else ""
            known = f"there are: {', '.join(list(found.values())[:_MOST])}{more}"
            return f"did you mean {found[near[0]]}? {known}" if near else known
    return "name the folder of a study: <storage>/<study>"
