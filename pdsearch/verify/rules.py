"""All rules of a study, checked one after another; nothing is changed."""

from collections.abc import Iterator
from typing import Any

from pdsearch.artifacts import is_dead, lease_at
from pdsearch.io import Place, Remote, place
from pdsearch.io.studies import description
from pdsearch.search.optuna_backend.journal import DamagedError
from pdsearch.search.optuna_backend.storage import JournalStudyStorage, last_home
from pdsearch.verify import artifact_rules as artifacts
from pdsearch.verify import ledger_rules as ledger
from pdsearch.verify import leftovers
from pdsearch.verify import record_rules as records
from pdsearch.verify.broken import Breach


def check_invariants(run: str | Place, *, deep: bool = False) -> list[Breach]:
    """Return the violations in a study; none for one that ended, or was interrupted and opened again.

    Args:
        run: The study's folder.
        deep: Whether to also hash every file of every artifact that the study's records name.

    Raises:
        ConfigError: The folder is not a study's.
        StorageError: It cannot be read, or its study.json is truncated.
    """
    folder = place(run)
    about = description(folder)
    live = _is_driven(folder / "driver.lease")
    return list(_all(folder, about, live, deep))


def _all(folder: Place, about: dict[str, Any], live: bool, deep: bool) -> Iterator[Breach]:
    found, broken = records.read(folder / "trials", about["space"], live=live)
    yield from broken
    yield from records.check(found, about)
    yield from _ledger(folder, about["space"]["objectives"], found, live)
    yield from leftovers.check(folder, live=live)
    yield from artifacts.check(folder.parent / "artifacts", found.finished.values(), deep=deep)


def _ledger(folder: Place, objectives: Any, found: records.StudyRecords, live: bool) -> Iterator[Breach]:
    try:
        home = last_home(folder)
    except DamagedError as error:
        yield Breach("ledger", error.what, error.where or str(folder), mended=True)
        return
    # The journal of a study on an object storage is local to its driver; any driver can rebuild it from the records.
    if isinstance(folder, Remote) and isinstance(home, JournalStudyStorage) and not home.path.exists():
        return
    metrics = [objective["metric"] for objective in objectives]
    yield from ledger.check(home, found, metrics, objectives[0]["goal"], live=live)


def _is_driven(path: Place) -> bool:
    """Return whether a driver is running, as far as can be told without waiting."""
    owner = lease_at(path).owner()
    return owner is not None and not is_dead(owner)
