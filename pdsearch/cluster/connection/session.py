"""The Ray session of a run: on an existing cluster, or on a local Ray that lives as long as the run."""

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from pdsearch.cluster.connection.choice import ADDRESS, Choice
from pdsearch.cluster.connection.joining import joined, reach
from pdsearch.cluster.connection.local import local_ray
from pdsearch.cluster.slots import GrowingSlots, Slots
from pdsearch.errors import ConfigError
from pdsearch.training.device import cores

_SAY_AFTER_S = 10.0
_OWN = Choice()


_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "3600",
}
"""No snapshots, log files per trial or progress output of Tune's: the study has it all. The searcher decides how many
trials wait for a worker and what happens to one that lost its worker: Tune retries none."""

_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Marks a node that belongs to no cluster, on Linux too: otherwise 127.0.0.1 is replaced by the host's address."""

_OF_A_JOB = (
    ADDRESS,
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV",
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_NAMESPACE",
)
"""Variables of a submitted job, unset for a local Ray, which would wait endlessly for the job's packages."""


def variables(address: str | None, verbose: bool) -> dict[str, str | None]:
    """Return the variables to set, or to unset (None), during a session.

    Args:
        address: Of the cluster that is joined; None for a local Ray.
        verbose: Let Ray's log lines through.
    """
    added: dict[str, str | None] = {**_QUIET, "TUNE_PRINT_ALL_TRIAL_ERRORS": str(int(verbose))}
    if address is not None:
        return {**added, ADDRESS: None}  # Otherwise Ray would resolve "auto" to it, whatever its kind.
    return {**added, **dict.fromkeys(_OF_A_JOB), **_LOOPBACK, **_token()}


def _token() -> dict[str, str]:
    """Return variables that make a local Ray require a token known only to this process and its children."""
    if "RAY_AUTH_MODE" in os.environ:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set, or unset, environment variables while the block runs."""
    before = {name: os.environ.get(name) for name in wanted}
    _set(wanted)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class Session:
    """A connected Ray; a local one has a folder for temporary files, None on a cluster."""

    def __init__(self, folder: Path | None, slots: Slots, address: str = "") -> None:
        self.folder, self.slots, self.address = folder, slots, address


@contextmanager
def session(
    *,
    cpu: int,
    gpu: float,
    workers: int | None,
    verbose: bool,
    choice: Choice = _OWN,
    say: Callable[[str], None] = lambda _text: None,
    accelerator: str | None = None,
) -> Iterator[Session]:
    """Join a cluster, or run a local Ray, which listens on this machine alone and requires a token.

    Args:
        cpu: CPUs of a trial.
        gpu: GPUs of a trial.
        workers: Concurrent trials; None for as many as fit.
        verbose: Let Ray's log lines through.
        choice: Which Ray; by default a local one, whatever RAY_ADDRESS says.
        say: Tells the user what is being waited for, if it takes long.
        accelerator: Kind of GPU of a trial, as Ray names it; None takes any.

    Raises:
        ClusterError: The local Ray did not start.
        ConfigError: The cluster cannot be joined, or a trial on this machine asks for more GPUs than it has.
    """
    address = choice.address
    level = logging.INFO if verbose else logging.ERROR
    with environment(variables(address, verbose)), ExitStack() as ends:
        local = None
        with _told_when_slow(say, address):
            if address is None:
                cpus = max(cores(), cpu * (workers or 1))
                local = ends.enter_context(local_ray(cpus, shows_lines=verbose))
            elif address != "auto":
                reach(address, choice)
            found = ends.enter_context(joined(local.address if local else address, level, verbose, choice))
        fitting = GrowingSlots(cpu, gpu, workers, accelerator)
        if gpu and local and not fitting.fit:  # No node will join: the run would wait endlessly.
            raise _no_gpu(gpu, accelerator)
        slots = Slots(workers or max(1, fitting.fit)) if local else fitting
        with nullcontext() if verbose else _muted():
            yield Session(local.folder if local else None, slots, found)


@contextmanager
def _told_when_slow(say: Callable[[str], None], address: str | None) -> Iterator[None]:
    """Say once what is being waited for, if the block takes long."""
    what = "Ray to start on this machine" if address is None else f"the Ray cluster at {address} to answer"
    timer = threading.Timer(_SAY_AFTER_S, say, [f"waiting for {what}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _no_gpu(gpu: float, accelerator: str | None) -> ConfigError:
    """Return the error of a machine whose GPUs fit no trial; Ray is started with enough CPUs."""
    import ray

    there = ray.cluster_resources().get("GPU", 0)
    kind = f" of the kind {accelerator}" if accelerator else ""
    hint = "set resources.gpu to 0 to train on CPUs, or join a cluster that has GPUs with --address"
    return ConfigError(
        f"a trial asks for {gpu:g} GPU{kind}, and Ray sees {there:g}{kind and ' of any kind'} on this machine",
        where="resources.gpu",
        hint=hint,
    )


@contextmanager
def _muted() -> Iterator[None]:
    """Silence Ray's messages about lost nodes on stdout, where results go; the searcher reports them itself."""
    from ray._private import worker

    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_args, **_named: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before
