"""One run of a space: opens its study and runs its jobs to the end, on Ray or in this process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from pdsearch.cluster.connection.choice import Choice, ray_choice
from pdsearch.config import Space
from pdsearch.errors import ConfigError
from pdsearch.io import is_url, reporting_to
from pdsearch.io.studies import Accept
from pdsearch.observer import Observer
from pdsearch.protocol import Job, Outcome, Work
from pdsearch.signals import Stop

if TYPE_CHECKING:
    from pdsearch.cluster.examine import Asked
    from pdsearch.pipeline.context import WorkerContext
    from pdsearch.search.study import Study


def choose_ray(space: Space, address: str | None, *, serial: bool) -> Choice:
    """Return the Ray that a run uses; called before anything is opened.

    Args:
        space: What is searched.
        address: Of a cluster, "auto" or "local"; None uses RAY_ADDRESS.
        serial: One trial at a time in this process, without Ray.

    Raises:
        ConfigError: The address cannot be joined, or a cluster's nodes would not see the storage.
    """
    choice = Choice() if serial and not address else ray_choice(address)
    if choice.address and not (space.storage.startswith("/") or is_url(space.storage)):
        raise ConfigError(
            f"a cluster ({choice.where}) needs a storage that every node sees at the same path",
            where=f"storage: {space.storage}",
            hint="give an absolute path on a shared mount, e.g. --set storage=/mnt/shared/runs, or s3://bucket/prefix;"
            " or keep to this machine with --address local",
        )
    if serial and address:
        raise ConfigError("a run without Ray uses no cluster", where="--serial", hint="leave --address out")
    return choice


def drive(
    space: Space,
    observer: Observer,
    stop: Stop,
    *,
    choice: Choice,
    serial: bool = False,
    workers: int | None = None,
    verbose: bool = False,
    accept: Accept = Accept(),  # noqa: B008 - frozen
) -> "Study":
    """Search a space, or resume its study, until all is done; return the closed study.

    Args:
        space: What is searched.
        observer: Hears what happens.
        stop: Handles the signals that end a run.
        choice: The Ray to use.
        serial: One trial at a time in this process, without Ray.
        workers: Concurrent trials; as many as fit if not given.
        verbose: Report the engine's choices; let Ray's own log through.
        accept: What may be another than the study began with.

    Raises:
        PdsearchError: As docs/exit_codes.md lists them.
    """
    from pdsearch.search.preflight.resources import choices, crowd  # loads torch
    from pdsearch.search.study import open_as_driver

    ask = (
        partial(_ask_workers, space, observer.say, choice=choice, verbose=verbose) if choice.address else None
    )
    with (
        closing(observer),
        reporting_to(observer.say),
        open_as_driver(space, observer, ask_workers=ask, accept=accept) as study,
    ):
        if not study.scheduler.idle():
            at_once = 1 if serial else workers or space.search.concurrency or 1
            if choice.address is None and (warning := crowd(space, at_once)):
                observer.say(f"note: {warning}")
            if verbose:
                for line in choices(space, study.precision):
                    observer.say(line)
            if serial:
                _serially(study, space, stop)
            else:
                _on_ray(study, space, stop, choice=choice, workers=workers, verbose=verbose)
        if study.scheduler.failure:
            raise study.scheduler.failure
        return study


def _serially(study: "Study", space: Space, stop: Stop) -> None:
    import torch

    from pdsearch.artifacts import open_store
    from pdsearch.pipeline.context import WorkerContext
    from pdsearch.training.device import keep_freed_memory, pick_device

    torch.set_num_threads(max(1, space.resources.cpu))
    keep_freed_memory()
    site = WorkerContext(
        open_store(study.artifacts),
        study.progress,
        device=pick_device(space.resources.gpu),
        logs=study.folder / "trials",
        patience_s=space.search.trial_timeout,
        graphs=space.resources.cuda_graphs,
    )
    with stop.draining(study.scheduler.interrupt, study.scheduler.observer.say):
        run_serially(study.scheduler, site)


def run_serially(work: Work, site: "WorkerContext") -> None:
    """Run all of a study's work in this process, without Ray, one job after another."""
    while (job := work.next()) is not None:
        work.busy(job, True)
        work.finish(job, _outcome(job, work, site))


def _outcome(job: Job, work: Work, site: "WorkerContext") -> Outcome:
    from pdsearch.pipeline.trial import patiently

    with closing(patiently(job, site)) as events:
        for event in events:
            if isinstance(event, Outcome):
                return event
            if work.tell(job, event):
                break
    return Outcome("stopped")


def _ask_workers(space: Space, say: Callable[[str], None], *, choice: Choice, verbose: bool) -> bool:
    """Return whether the devices of a cluster's workers compute in bf16; a signal ends the wait for a first one."""
    say(f"joining the Ray cluster ({choice.where}) to ask what its devices compute in")
    with _session(space, say, choice=choice, workers=None, verbose=verbose) as ray_session:
        from pdsearch.cluster.node_checks import workers_compute_bf16

        return workers_compute_bf16(ray_session.slots, say)


def _session(
    space: Space, say: Callable[[str], None], *, choice: Choice, workers: int | None, verbose: bool
) -> AbstractContextManager[Any]:
    from pdsearch.cluster.connection.session import session

    resources = space.resources
    return session(
        cpu=resources.cpu,
        gpu=resources.gpu,
        accelerator=resources.accelerator,
        workers=workers or space.search.concurrency,
        verbose=verbose,
        choice=choice,
        say=say,
    )


def _on_ray(
    study: "Study", space: Space, stop: Stop, *, choice: Choice, workers: int | None, verbose: bool
) -> None:
    from pdsearch.training.device import pick_device

    say = study.scheduler.observer.say
    if choice.address is None:
        pick_device(space.resources.gpu)  # Torch may see fewer GPUs than Ray.
    with _session(space, say, choice=choice, workers=workers, verbose=verbose) as ray_session:
        say(choice.words(ray_session.address))
        from pdsearch.cluster import runner  # ray.tune reads its environment when it is imported

        examined = _examined(study, space, ray_session) if choice.address else nullcontext()
        with examined as node, stop.draining(study.scheduler.interrupt, say):
            runner.run(
                study.scheduler,
                ray_session,
                resources=space.resources,
                artifacts=study.artifacts,
                progress=study.progress,
                folder=study.folder,
                patience_s=space.search.trial_timeout,
                node=node,
                say=say,
            )


@contextmanager
def _examined(study: "Study", space: Space, ray_session: Any) -> Iterator["Asked"]:
    """Check every node of a cluster before any trial; yield what nodes that join later must have."""
    from pdsearch.cluster.node_checks import check_nodes, expected
    from pdsearch.data.options import must_be_there
    from pdsearch.search.resolved import absolute

    data = space.resolve(space.defaults()).data
    code = dict(study.describe.code)
    files = [absolute(path) for path in study.describe.checkpoints]
    files += [absolute(str(data.root))] if must_be_there(data) else []
    bf16 = space.precision == "auto" and study.precision.name == "bf16"
    with expected(study.folder, code=code, files=files, gpu=space.resources.gpu, bf16=bf16) as asked:
        check_nodes(ray_session.slots.nodes(), asked)
        yield asked
