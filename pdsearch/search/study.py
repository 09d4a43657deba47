"""Opening a study as its only driver: its identity, its records, its Optuna study, its schedule, its running time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from pdsearch.artifacts import AnyLease, ArtifactStore, check_lease_held, hold, is_orphan, open_store
from pdsearch.config import Space
from pdsearch.data.registry import sources
from pdsearch.io import Place, Remote, check_usable, check_writable, remove_tree, resolved, subfolders
from pdsearch.io.durable import storage_errors
from pdsearch.io.studies import Accept, begun, path_text
from pdsearch.observer import Observer
from pdsearch.pipeline.context import WorkerContext
from pdsearch.records.codec import decode
from pdsearch.records.study_record import StudySpace
from pdsearch.search.confirmation.jobs import DerivedJobs
from pdsearch.search.identity import Changes, accept_changes, changes_of, identify
from pdsearch.search.maintenance import redo, retry_once
from pdsearch.search.optuna_backend.ledger import Ledger
from pdsearch.search.optuna_backend.rebuild import open_studies
from pdsearch.search.optuna_backend.sampler import check_sampler
from pdsearch.search.optuna_backend.storage import StudyStorage, home_of
from pdsearch.search.preflight.dry_run import checkpoints
from pdsearch.search.preflight.opening import Preflight
from pdsearch.search.preflight.resources import Precision
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description, own_code_hashes
from pdsearch.search.scheduler import Clock, Phases, Scheduler


@dataclass(frozen=True)
class Study:
    """An open study.

    Args:
        folder: Its records, and on a disk its journal.
        root: The storage it lies in, with the artifacts of all studies.
        scheduler: What a runner drives.
        describe: What was resolved when the study began.
        precision: What it computes in, and why.
        resumed: Whether it existed before.
    """

    folder: Place
    root: Place
    scheduler: Scheduler
    describe: Description
    precision: Precision
    resumed: bool

    @property
    def artifacts(self) -> Place:
        """Folder of the artifacts, shared by all studies of the storage."""
        return self.root / "artifacts"

    @property
    def progress(self) -> Place:
        """Folder of the checkpoints of what is running."""
        return self.root / "progress"


def described(space: Space) -> Description:
    """Return what a space's files hold now; its precision is the space's, `auto` too.

    Raises:
        DataError: The data set or a checkpoint is missing or broken.
    """
    data = space.resolve(space.defaults()).data
    fingerprint = sources.get(data.source).fingerprint(data)
    return Description(
        fingerprint, space.precision, checkpoints=checkpoints(space), code=own_code_hashes(space)
    )


@contextmanager
def open_as_driver(
    space: Space,
    observer: Observer,
    *,
    ask_workers: Callable[[], bool] | None = None,
    accept: Accept = Accept(),  # noqa: B008 - frozen
) -> Iterator[Study]:
    """Open a study, new or existing, as its only driver.

    Args:
        space: What is searched.
        observer: Receives what happens.
        ask_workers: Returns whether the devices of a cluster's workers compute in bf16; called for a new study whose
            precision is `auto`. None: trials run on this machine, and a new study is refused where it lacks the GPU
            that they ask for.
        accept: What may be another than the study began with.

    Raises:
        ConfigError: The study exists with another space, other data or other code; the message holds the difference.
            Or there is no GPU, a teacher's checkpoint does not fit it, its channels cannot be removed, a network cannot
            be built, or a loss cannot compare two of them.
        DataError: The data set, one of its images, or a checkpoint is missing or broken.
        StudyHeldError: Another driver works on it.
        StorageError: The storage cannot be written, or the study's study.json is torn.
    """
    check_sampler(space)
    root = resolved(space.storage)
    check_usable(root)
    folder = root / space.study
    check_writable(root, folder)
    # `auto` is resolved once the images and the first student are known.
    found = described(space)
    with _held(folder) as lease:
        began = begun(folder)
        store = open_store(root / "artifacts")
        site = WorkerContext(store, root / "progress")
        images = found.complete(space.resolve(space.defaults())).data
        preflight = Preflight(space, root, site, images, observer.say)
        if began is None:
            preflight.check_place(here=ask_workers is None)
        _sweep(folder, store)
        changes = changes_of(space, folder, found, began) if began else Changes()
        changes.check(folder, accept)
        if began is None:
            found, precision = preflight.check_new(found, ask_workers)
            identify(space, folder, found)
        else:
            found, precision = preflight.check_resumed(found, began.precision, changed=bool(changes))
            for line in accept_changes(space, folder, found, began) if changes else ():
                observer.say(f"accepted: {line}")
        # Sums of several threads round otherwise, so a record says how many trained it.
        found = replace(found, versions={**found.versions, "threads": max(1, space.resources.cpu)})
        clock = Clock(folder / "elapsed.json", space.resources.gpu)
        home = home_of(folder, space.search.ledger)
        try:
            with home.kept():
                records = Records(folder / "trials", decode(StudySpace, space.identity()))
                records.mend(observer.say)
                _ask_again(records, found, observer, earlier=accept.redo)
                scheduler = _scheduler(space, records, site, home, found, observer, clock, lease)
                observer.say(_status(folder, scheduler, new=began is None))
                observer.opened(records.finished.values())
                if began is not None and not scheduler.idle():
                    preflight.check_rest()
                yield Study(folder, root, scheduler, found, precision, began is not None)
        finally:
            clock.close()
        _clear(scheduler.records, root / "progress")


def _status(folder: Place, scheduler: Scheduler, *, new: bool) -> str:
    """Return a line that says which study is run and how much of it is there."""
    if new:
        return f"new study in {path_text(folder)}"
    if scheduler.idle():
        return f"all is done already in {path_text(folder)}"
    space, search = scheduler.space, scheduler.search
    finals = sum(record.kind == "confirm" for record in scheduler.records.finished.values())
    confirmed = f", {finals} confirmation students" if finals else ""
    return (
        f"going on in {path_text(folder)}: {search.finished} of {space.search.trials} trials done{confirmed}"
    )


def _ask_again(records: Records, found: Description, observer: Observer, *, earlier: bool) -> None:
    """Schedule what failed, and where the user says so what finished with earlier own code; say how much."""
    failed, redone = retry_once(records, found), redo(records, found) if earlier else []
    if failed:
        observer.say(f"retrying {len(failed)} failed trial{'s' if len(failed) > 1 else ''}")
    if redone:
        what = "1 job that" if len(redone) == 1 else f"{len(redone)} jobs that"
        observer.say(f"asking again {what} finished with earlier own code")


@contextmanager
def _held(folder: Place) -> Iterator[AnyLease]:
    """Hold a study's lease as its driver; a folder that stays empty, as the space was refused, is removed again."""
    try:
        with hold(folder / "driver.lease") as lease:
            yield lease
    finally:
        if not isinstance(folder, Remote):
            with suppress(OSError):  # It stays unless it is empty.
                folder.rmdir()


def _clear(records: Records, progress: Place) -> None:
    """Remove the checkpoints of ended jobs; a worker that was closed may have saved one since."""
    ended = {record.key for record in records.finished.values()}
    for key in ended.intersection(subfolders(progress)):
        remove_tree(progress / key)


def _sweep(folder: Place, store: ArtifactStore) -> None:
    """Remove the temporary files of a killed driver; only the driver writes there."""
    store.sweep()
    if isinstance(folder, Remote):
        return  # Objects are never written in part.
    with storage_errors(folder):
        for path in [*folder.glob(".*"), *folder.glob("trials/.*")]:
            if path.suffix == ".tmp" or is_orphan(path.name):
                path.unlink(missing_ok=True)


def _scheduler(
    space: Space,
    records: Records,
    site: WorkerContext,
    home: StudyStorage,
    describe: Description,
    observer: Observer,
    clock: Clock,
    lease: AnyLease,
) -> Scheduler:
    single = not space.parameters
    kinds = {"search": space, "baseline": space.unpruned()}
    studies = open_studies(home, kinds, records)

    def ledger(kind: str) -> Ledger:
        whole = single and kind == "search"
        return Ledger(studies[kind], kinds[kind], records, kind=kind, describe=describe, single=whole)

    phases = Phases(
        DerivedJobs(space, describe, records),
        search=ledger("search"),
        unpruned=ledger("baseline"),
        built=lambda job: site.store.find("teacher", job.key) is not None,
        clock=clock,
        say=observer.say,
    )
    return Scheduler(
        phases,
        observer=observer,
        forget=lambda key: remove_tree(site.progress / key),
        fence=partial(check_lease_held, lease, records.folder.parent),
    )
