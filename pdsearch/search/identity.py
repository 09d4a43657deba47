"""Is this the study that was begun? Written into study.json once, compared ever after."""

from collections.abc import Iterator, Mapping
from typing import Any

from pdsearch.errors import ConfigError
from pdsearch.records import write_once
from pdsearch.search.describe import Description
from pdsearch.search.own_code import own_folders
from pdsearch.search.records import now
from pdsearch.space import Space, diff
from pdsearch.storage import Place
from pdsearch.trial_record import FORMAT

__all__ = ["identify"]


def identify(space: Space, folder: Place, found: Description, began: Mapping[str, Any] | None) -> None:
    """Write what a study is, or compare with what it was when it began.

    Args:
        space: What is run.
        folder: The study's.
        found: What was resolved of the space here and now.
        began: What its study.json holds; None where it begins.

    Raises:
        ConfigError: It began with another space, other data or other code; the message holds the difference.
    """
    if began is None:
        write_once(folder / "study.json", _about(space, found))
        return
    changes = [*diff(began["space"], space.identity()), *_others(found, began)]
    if changes:
        raise ConfigError(
            "the study exists with another space:\n    " + "\n    ".join(changes),
            where=str(folder),
            hint="take the changes back, or give the space another study: name",
        )


def _about(space: Space, found: Description) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "study": space.study,
        "space": space.identity(),
        "data": {"fingerprint": found.fingerprint},
        "checkpoints": [*sorted(found.checkpoints.values())],
        "code": dict(found.code),
        "code_folders": {**own_folders(space)},
        "precision": found.precision,
        "versions": dict(found.versions),
        "created_at": now(),
    }


def _others(found: Description, began: Mapping[str, Any]) -> Iterator[str]:
    """Say which files that the space names, by whichever paths, are others now."""
    if began.get("checkpoints", []) != sorted(found.checkpoints.values()):
        yield "teacher.checkpoint: not the weights the study began with"
    for name, code in began.get("code", {}).items():
        if found.code.get(name, code) != code:
            yield f"{name}: its file is not the one the study began with"
    if began["data"]["fingerprint"] != found.fingerprint:
        yield "data: the images are not those the study began with"
