"""Which artifacts do the studies of a storage use, and is a run at work on one of them?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pdsearch.artifacts import is_dead, lease_at
from pdsearch.artifacts.owner import Owner
from pdsearch.errors import StorageError
from pdsearch.records import Broken, read_asked, read_finished
from pdsearch.specs import DataSpec, Rewind
from pdsearch.storage import Place
from pdsearch.studies import description, studies

__all__ = ["Used", "drivers", "used"]


@dataclass(frozen=True)
class Used:
    """What the studies of a storage use.

    Args:
        artifacts: (stage, key) of all that their records name.
        torn: Files that are no records: what they named is not known.
    """

    artifacts: frozenset[tuple[str, str]]
    torn: tuple[Broken, ...]


def drivers(root: Place) -> Iterator[tuple[Place, Owner]]:
    """Yield every study that a run is at work on, as far as can be told, and who runs it."""
    for folder in studies(root):
        owner = lease_at(folder / "driver.lease").owner()
        if owner is not None and not is_dead(owner):
            yield folder, owner


def used(root: Place) -> Used:
    """Return all that the studies' records name, and what an interrupted trial will ask for."""
    from pdsearch.stages import keys  # loads the registries

    found: set[tuple[str, str]] = set()
    images: set[DataSpec] = set()
    torn: list[Broken] = []
    for folder in studies(root):
        space = _space(folder)
        asked, finished = read_asked(folder / "trials", space), read_finished(folder / "trials", space)
        torn += [*asked.broken, *finished.broken]
        for ended in finished.found.values():
            found |= {(use.stage, use.key) for use in ended.artifacts}
        for name, record in asked.found.items():
            spec = record.spec
            if name in finished.found and spec.data in images:
                continue
            images.add(spec.data)  # Decoded when the study was opened, by no trial.
            found.add(("data", keys.data_key(spec.data)))
            if name in finished.found:
                continue
            found.add(("teacher", keys.dense_key(spec)))
            found |= {("prune", key) for key in keys.round_keys(spec)}
            match spec.prune.after_round if spec.prune else None:
                case Rewind(epoch=epoch) if epoch:
                    found.add(("early", keys.early_key(spec, epoch)))
    return Used(frozenset(found), tuple(torn))


def _space(folder: Place) -> Mapping[str, Any]:
    """Return what a study searches; nothing where its study.json is torn: its records name artifacts all the same."""
    try:
        space: Mapping[str, Any] = description(folder)["space"]
    except StorageError:
        return {}
    return space
