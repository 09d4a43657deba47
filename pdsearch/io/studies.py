"""Studies of a storage: folders that contain a study.json, and beside it what was changed in it later."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, TypeVar

from pdsearch.errors import ConfigError, StorageError
from pdsearch.io import Place, UnfitFileError, exists, read, subfolders
from pdsearch.io.record_files import MOST_BYTES, parse_record, write_once
from pdsearch.records.codec import DecodeError, decode, encode
from pdsearch.records.study_record import StudyChange, StudyRecord
from pdsearch.records.trial_record import FORMAT, NewerFormatError, check_format, check_time

_FILE = "study.json"
_MOST = 8

R = TypeVar("R", StudyRecord, StudyChange)


@dataclass(frozen=True)
class Accept:
    """What a person lets a run change in its study.

    Args:
        code: Own code that is another than the study began with.
        redo: Whether what finished with earlier code is asked again.
        wider: A space that holds more points than the study began with, and all of those.
    """

    code: bool = False
    redo: bool = False
    wider: bool = False


@dataclass(frozen=True)
class RunningPhase:
    """The phase of a study: its jobs in all, those done before it, and when it began (ISO 8601, UTC)."""

    name: str = ""
    total: int = 0
    done: int = 0
    began_at: str = ""

    def __post_init__(self) -> None:
        check_time(self.began_at, "began_at")


@dataclass(frozen=True)
class Elapsed:
    """The content of elapsed.json: total seconds of all runs and of their GPUs, and the phase."""

    extensible: ClassVar[bool] = True
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    phase: RunningPhase = RunningPhase()

    def __post_init__(self) -> None:
        if min(self.seconds, self.gpu_seconds) < 0:
            raise DecodeError("is negative", "seconds")


def elapsed(path: Place) -> Elapsed:
    """Return the content of a study's elapsed.json; zeros where it is missing or damaged."""
    try:
        return decode(Elapsed, parse_record(read(path, MOST_BYTES) or b"{}"))
    except (ValueError, UnfitFileError):
        return Elapsed()


def studies(root: Place) -> list[Place]:
    """Return the folders of a storage's studies."""
    return [root / name for name in subfolders(root) if exists(root / name / _FILE)]


def path_text(place: Place) -> str:
    """Return a path as text, relative to the current folder where it lies inside; a URL as it is."""
    try:
        return str(place.relative_to(Path.cwd()) if isinstance(place, Path) else place)
    except (ValueError, OSError):
        # Outside; or the current folder is gone: Ray removes that of a job when its driver ends.
        return str(place)


def description(folder: Place) -> StudyRecord:
    """Return what the study in a folder is.

    Raises:
        ConfigError: The folder is no study's; the hint names studies nearby.
        StorageError: Its study.json cannot be read, or is damaged.
    """
    if isinstance(folder, Path) and folder.exists() and not folder.is_dir():
        raise ConfigError("is a file, and a study is a folder", where=str(folder), hint=_nearby(folder))
    record = begun(folder)
    if record is None:
        raise ConfigError("there is no study here", where=str(folder), hint=_nearby(folder))
    return record


def begun(folder: Place) -> StudyRecord | None:
    """Return what the study in a folder is, its later changes included; None if there is none.

    Raises:
        StorageError: It cannot be read, or is damaged.
    """
    record = _read(StudyRecord, folder / _FILE)
    if record is None:
        return None
    while (later := _read(StudyChange, folder / _change(record))) is not None:
        record = record.changed(later)
    return record


def begin(folder: Place, record: StudyRecord) -> None:
    """Write what a new study is, once and for all."""
    content = {name: value for name, value in encode(record).items() if name != "changes"}
    write_once(folder / _FILE, {"format": FORMAT, **content})


def change(folder: Place, began: StudyRecord, later: StudyChange) -> None:
    """Write what is another in a study from now on; study.json and earlier changes stay as they are."""
    write_once(folder / _change(began), {"format": FORMAT, **encode(later)})


def _change(record: StudyRecord) -> str:
    return f"change-{len(record.changes) + 1}.json"


def _read(kind: type[R], path: Place) -> R | None:
    try:
        content = read(path, MOST_BYTES)
        if content is None:
            return None
        found = parse_record(content)
        check_format(found)
        return decode(kind, found)
    except NewerFormatError as error:
        hint = "use that version, or a newer one"
        raise StorageError(str(error), where=str(path), hint=hint) from None
    except UnfitFileError as error:
        raise _torn(path, error.what) from None
    except ValueError as error:
        raise _torn(path, str(error)) from None


def _torn(path: Place, what: str) -> StorageError:
    # Running the same space without the file writes it again; the finished records beside it are kept.
    hint = (
        "copy it from where it is whole; or remove the file and run the study again, its space file unchanged:"
        " it is written anew, and what finished counts"
    )
    return StorageError(what, where=str(path), hint=hint)


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
