"""Is everything that is promised of a study true of this one? All rules, one after another; nothing is changed."""

from collections.abc import Iterator
from typing import Any

from pdsearch.artifacts import is_dead, lease_at
from pdsearch.invariants import artifacts, ledger, leftovers, records
from pdsearch.invariants.broken import Broken
from pdsearch.search.home import JournalHome, last_home
from pdsearch.storage import Place, Remote, place
from pdsearch.studies import about

__all__ = ["check_invariants"]


def check_invariants(run: str | Place, *, deep: bool = False) -> list[Broken]:
    """Return what is broken in a study; nothing for one that ended, or was cut off and opened again.

    Args:
        run: The study's folder.
        deep: Also hash every file of every artifact that the study's records name.

    Raises:
        ConfigError: The folder is not a study's.
        StorageError: It cannot be read.
    """
    folder = place(run)
    told = about(folder)
    live = _is_driven(folder / "driver.lease")
    return list(_all(folder, told, live, deep))


def _all(folder: Place, told: dict[str, Any], live: bool, deep: bool) -> Iterator[Broken]:
    found, broken = records.read(folder / "trials", live=live)
    yield from broken
    yield from records.check(found)
    metrics = [objective["metric"] for objective in told["space"]["objectives"]]
    goals = [objective["goal"] for objective in told["space"]["objectives"]]
    home = last_home(folder)
    # The journal of a study on an object storage lies with its driver, and any driver can make it from the records.
    if not (isinstance(folder, Remote) and isinstance(home, JournalHome) and not home.path.exists()):
        yield from ledger.check(home, found, metrics, goals[0], live=live)
    yield from leftovers.check(folder, live=live)
    yield from artifacts.check(folder.parent / "artifacts", found.finished.values(), deep=deep)


def _is_driven(path: Place) -> bool:
    """Whether a driver is at work, as far as can be told from here without waiting."""
    owner = lease_at(path).owner()
    return owner is not None and not is_dead(owner)
