"""Which artifacts do the studies of a storage use, and is a run at work on one of them?"""

from collections.abc import Iterator
from typing import Any

from pdsearch.artifacts import is_dead, lease_at, read_records
from pdsearch.artifacts.owner import Owner
from pdsearch.specs import spec_from_json
from pdsearch.storage import Place
from pdsearch.studies import studies

__all__ = ["drivers", "used"]


def drivers(root: Place) -> Iterator[tuple[Place, Owner]]:
    """Yield every study that a run is at work on, as far as can be told, and who runs it."""
    for folder in studies(root):
        owner = lease_at(folder / "driver.lease").owner()
        if owner is not None and not is_dead(owner):
            yield folder, owner


def used(root: Place) -> set[tuple[str, str]]:
    """Return (stage, key) of all that the studies' records name, and of what an interrupted trial will ask for."""
    from pdsearch.stages import keys  # loads the registries

    found: set[tuple[str, str]] = set()
    images: list[Any] = []
    for folder in studies(root):
        finished = read_records(folder / "trials", ".finished.json").found
        for record in finished.values():
            found |= {(use["stage"], use["key"]) for use in record["artifacts"]}
        for name, record in read_records(folder / "trials", ".asked.json").found.items():
            if name.replace(".asked.", ".finished.") in finished and record["spec"]["data"] in images:
                continue
            spec = spec_from_json(record["spec"])
            images.append(record["spec"]["data"])  # Decoded when the study was opened, by no trial.
            found.add(("data", keys.data_key(spec.data)))
            if name.replace(".asked.", ".finished.") in finished:
                continue
            found.add(("teacher", keys.dense_key(spec)))
            found |= {("prune", key) for key in keys.round_keys(spec)}
            if spec.prune and spec.prune.rewind_epoch:
                found.add(("early", keys.early_key(spec, spec.prune.rewind_epoch)))
    return found
