"""Running a study on Ray Tune: one Tuner over the study's scheduler, with warm actors, no snapshots and no restore."""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray import tune
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayTaskError

from pdsearch.cluster.arrival import Arrival
from pdsearch.cluster.connection.session import Session
from pdsearch.cluster.connection.temporary import tune_folder
from pdsearch.cluster.examine import Asked
from pdsearch.cluster.messages import Guarded
from pdsearch.cluster.slots import ACCELERATOR_SHARE, accelerator_resource
from pdsearch.cluster.tune_scheduler import JobScheduler, Starts
from pdsearch.cluster.tune_searcher import JobSearcher
from pdsearch.cluster.worker import JobTrainable
from pdsearch.config import Resources
from pdsearch.io import Place, local_folder
from pdsearch.protocol import Work
from pdsearch.user_code import places

_tune: Any = importlib.import_module("ray.tune.tune")  # the attribute `ray.tune.tune` is a function


def run(
    work: Work,
    session: Session,
    *,
    resources: Resources,
    artifacts: Place,
    progress: Place,
    folder: Place,
    patience_s: float | None = None,
    node: Asked | None = None,
    say: Callable[[str], None] = lambda _text: None,
    trainable: type[tune.Trainable] = JobTrainable,
) -> None:
    """Run all of a study's work on a Ray session.

    Args:
        work: The study's scheduler.
        session: The Ray to run on.
        resources: What one trial uses.
        artifacts: Folder of the store, seen by every node.
        progress: Folder of checkpoints, seen by every node.
        folder: The study's, for logs.
        patience_s: Seconds without a sign of life after which a trial counts as hung.
        node: What a worker checks on its node before it runs jobs, from `expected`; None for no check.
        say: Tells the user about changes of the cluster.
        trainable: What runs in a worker; another one simulates jobs, to measure the overhead.

    Raises:
        StorageError: The study's storage failed; the study is left as if the run had been killed then.
    """
    place: dict[str, Any] = {
        "artifacts": str(artifacts),
        "progress": str(progress),
        "threads": max(1, resources.cpu),
        "gpu": resources.gpu,
        "graphs": resources.cuda_graphs,
        "logs": str(folder / "trials"),
        "patience_s": patience_s,
        "node": node,
        "code": places(),
    }
    guarded = Guarded(work)
    searcher = JobSearcher(guarded, place, session.slots, say)
    with tune_folder(session.folder, local_folder(folder)) as own:
        tuner = tune.Tuner(
            tune.with_resources(trainable, _needs(resources)),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=searcher,
                scheduler=JobScheduler(searcher),
                reuse_actors=True,
                trial_name_creator=lambda trial: f"job-{trial.trial_id}",
                trial_dirname_creator=lambda trial: f"job-{trial.trial_id}",
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(own),
                verbose=0,
                stop=Arrival(guarded, searcher.workers, session.folder, say),
                callbacks=[Starts(searcher)],
                # No retries by Tune: a retried trial fails for good when the same death is reported twice.
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        _fit(tuner, guarded)


def _needs(resources: Resources) -> dict[str, float]:
    """Return a trial's resources, as Tune names them."""
    needs: dict[str, float] = {"cpu": resources.cpu}
    if resources.gpu:
        needs["gpu"] = resources.gpu
    if resources.accelerator:
        needs[accelerator_resource(resources.accelerator)] = ACCELERATOR_SHARE
    return needs


def _fit(tuner: tune.Tuner, guarded: Guarded) -> None:
    # Keep Tune from handling SIGUSR1, with which batch systems warn that their time limit is near.
    takes, _tune._setup_signal_catching = _tune._setup_signal_catching, threading.Event
    try:
        with _any_death():
            tuner.fit()
    except OSError:
        # Tune's summary, which is not used, needs the driver's first directory; `ray job stop` may have removed it.
        if not guarded.done:
            raise
    finally:
        _tune._setup_signal_catching = takes
    if guarded.error is not None:
        raise guarded.error


@contextmanager
def _any_death() -> Iterator[None]:
    """Make Tune treat every error of Ray about a worker as the worker's death.

    For a worker that was ended for lack of memory, or can no longer be placed, Ray raises exceptions that are no
    `RayActorError`, and Tune would end the whole run with them.
    """
    known = RayActorManager._actor_task_failed

    def failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        if not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        known(manager, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed  # type: ignore[assignment, method-assign]  # Tune makes its own
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = known  # type: ignore[method-assign]
