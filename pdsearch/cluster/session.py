"""Which Ray does a run use? The cluster it is told to join, or one of its own that begins and ends with it."""

import logging
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pdsearch.cluster.slots import FixedSlots, GrowingSlots, Slots
from pdsearch.cluster.temporary import make_folder, remove_folder
from pdsearch.cores import cores
from pdsearch.errors import ConfigError, PdsearchError, Terminated

__all__ = ["Session", "refuse_client", "session"]

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
"""No snapshots, no log files per trial, no screen of Tune's own: the study holds it all. How many trials wait for a
worker, and what becomes of one that lost its own, is the searcher's to say: Tune tries none again."""

_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's word, on Linux too, for a node that is no cluster's: without it 127.0.0.1 is taken for the host's address."""

_STARTS = 3
"""Tries to start a Ray; on a busy machine its processes may take longer than it waits for them."""


class Session:
    """A Ray to run on.

    Args:
        folder: For Tune's own files: of the session if local, else None.
        slots: Room for trials.
    """

    def __init__(self, folder: Path | None, slots: Slots) -> None:
        self.folder, self.slots = folder, slots


@contextmanager
def session(
    *,
    address: str | None,
    cpu: int,
    gpu: float,
    workers: int | None,
    verbose: bool,
    accelerator: str | None = None,
) -> Iterator[Session]:
    """Join a cluster, or start a Ray that listens on this machine alone, wants a token, and is gone afterwards.

    Args:
        address: "auto" or host:port of a cluster; None starts a local one.
        cpu: CPUs of a trial.
        gpu: GPUs of a trial.
        workers: Trials at once; None is as many as fit.
        verbose: Let Ray's log lines through.
        accelerator: Kind of GPU of a trial, as Ray names it; None takes any.

    Raises:
        ConfigError: The cluster cannot be joined, the address is of a kind that loses work, or a trial on this machine
            asks for more GPUs than it has.
    """
    refuse_client(address)
    shown = {"TUNE_PRINT_ALL_TRIAL_ERRORS": str(int(verbose))}
    environment = {**_QUIET, **shown, **({} if address else {**_LOOPBACK, **_token()})}
    with _environment(environment):
        import ray  # After the environment is set: Ray reads it when it is imported.

        folder = None if address else make_folder()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        level = logging.INFO if verbose else logging.ERROR
        try:
            with _terminated():
                if address:
                    _join(address, level, verbose)
                else:
                    _start(folder, max(cores(), cpu * (workers or 1)), level, verbose)
            for (
                number,
                handler,
            ) in handlers.items():  # Ray's core takes SIGTERM for itself, and dumps a stack.
                signal.signal(number, handler or signal.SIG_DFL)
            for name in ("ray", "ray.tune"):
                logging.getLogger(name).setLevel(level)
            # It warns of every trial whose metrics Tune itself did not write: of all of them.
            logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
            # And lists the trials that ended with their workers, whose jobs others have done.
            logging.getLogger("ray.tune.tune").setLevel(level if verbose else logging.CRITICAL)
            fitting = GrowingSlots(cpu, gpu, workers, accelerator)
            if gpu and not address and not fitting.fit:  # None will join: the run would wait for ever.
                raise _no_gpu(gpu, accelerator)
            with nullcontext() if verbose else _muted():
                yield Session(folder, fitting if address else FixedSlots(workers or max(1, fitting.fit)))
        finally:
            ray.shutdown()
            if folder is not None:
                remove_folder(folder)


def _no_gpu(gpu: float, accelerator: str | None) -> ConfigError:
    """Return what a machine that has no room for a trial says; its CPUs are as many as are asked for."""
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
def _terminated() -> Iterator[None]:
    """Say what a SIGTERM meant that came while Ray starts: it ends the process with a code of its own."""
    try:
        yield
    except SystemExit as end:
        raise Terminated(
            "stopped while Ray started; nothing finished is lost", hint="run the same command to go on"
        ) from end


def _join(address: str, level: int, verbose: bool) -> None:
    import ray  # As above.

    try:
        ray.init(address=address, log_to_driver=verbose, logging_level=level)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot join the Ray cluster: {error}",
            where=f"--address {address}",
            hint="is it up, and is its token in RAY_AUTH_TOKEN or ~/.ray/auth_token, with RAY_AUTH_MODE=token?",
        ) from error


def _start(folder: Path | None, cpus: int, level: int, verbose: bool) -> None:
    import ray  # As above.

    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=verbose,
                logging_level=level,
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
            )
            return
        except Exception as error:  # Ray's own word where its processes were not up within half a minute.
            ray.shutdown()
            if not left:
                hint = "the machine may be too busy: run the same command again, or with --serial"
                raise PdsearchError(f"Ray did not start: {error}", hint=hint) from error


@contextmanager
def _muted() -> Iterator[None]:
    """Keep what Ray says of lost nodes off stdout, where results go; the searcher says it in a line of its own."""
    from ray._private import worker

    before = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_args, **_named: None
    try:
        yield
    finally:
        worker.print_to_stdstream = before


def refuse_client(address: str | None) -> None:
    """Refuse an address of Ray's client.

    Raises:
        ConfigError: The address begins with ray://.
    """
    if address and address.startswith("ray://"):
        raise ConfigError(
            "the driver belongs on the cluster: a lost client connection would take the search with it",
            where=f"--address {address}",
            hint="submit it there: ray job submit -- pdsearch run SPACE --address auto",
        )


def _token() -> dict[str, str]:
    """Return what makes a local Ray ask for a token that only this process and its children know."""
    if "RAY_AUTH_MODE" in os.environ:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def _environment(added: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
