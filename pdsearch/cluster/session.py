"""Which Ray does a run use? The cluster it is told to join, or one of its own that begins and ends with it."""

import logging
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdsearch.artifacts import draft_name, is_orphan
from pdsearch.errors import ConfigError, PdsearchError

__all__ = ["Session", "session"]

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "3600",
}
"""No snapshots, no log files per trial, no screen of Tune's own: the study holds it all."""

_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's word, on Linux too, for a node that is no cluster's: without it 127.0.0.1 is taken for the host's address."""

_STARTS = 3
"""Tries to start a Ray; on a busy machine its processes may take longer than it waits for them."""

_OWNER = "owner"
_SOCKET_LIMIT = 40  # Ray's sockets lie about 60 characters deeper, and a socket's path ends at 107.


class Session:
    """A Ray to run on.

    Args:
        folder: For Tune's own files: of the session if local, else None.
        slots: Trials at once, as far as resources are known now.
    """

    def __init__(self, folder: Path | None, slots: int) -> None:
        self.folder, self.slots = folder, slots


@contextmanager
def session(
    *, address: str | None, cpu: int, gpu: float, workers: int | None, verbose: bool
) -> Iterator[Session]:
    """Join a cluster, or start a Ray that listens on this machine alone, wants a token, and is gone afterwards.

    Args:
        address: "auto" or host:port of a cluster; None starts a local one.
        cpu: CPUs of a trial.
        gpu: GPUs of a trial.
        workers: Trials at once; None is as many as fit.
        verbose: Let Ray's log lines through.

    Raises:
        ConfigError: The cluster cannot be joined, or the address is of a kind that loses work.
    """
    _refuse(address)
    environment = {**_QUIET, **({} if address else {**_LOOPBACK, **_token()})}
    with _environment(environment):
        import ray  # After the environment is set: Ray reads it when it is imported.

        folder = None if address else _folder()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        level = logging.INFO if verbose else logging.ERROR
        try:
            if address:
                _join(address, level, verbose)
            else:
                _start(folder, max(_cpus(), cpu * (workers or 1)), level, verbose)
            for (
                number,
                handler,
            ) in handlers.items():  # Ray's core takes SIGTERM for itself, and dumps a stack.
                signal.signal(number, handler or signal.SIG_DFL)
            for name in ("ray", "ray.tune"):
                logging.getLogger(name).setLevel(level)
            yield Session(folder, workers or _slots(cpu, gpu))
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


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


def _refuse(address: str | None) -> None:
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


def _folder() -> Path:
    """Make a folder for this session, and remove those of drivers that were killed here."""
    base = tempfile.gettempdir()
    place = Path(base if len(base) <= _SOCKET_LIMIT else "/tmp")
    for left in place.glob("pds-*"):
        with suppress(OSError):
            if is_orphan((left / _OWNER).read_text()):
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="pds-", dir=place))
    (folder / _OWNER).write_text(draft_name())
    return folder


def _slots(cpu: int, gpu: float) -> int:
    import ray  # As above.

    have = ray.cluster_resources()
    by_cpu = int(have.get("CPU", 0) // cpu) if cpu else 10**6
    by_gpu = int(have.get("GPU", 0) / gpu + 1e-9) if gpu else 10**6
    return max(1, min(by_cpu, by_gpu))


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
