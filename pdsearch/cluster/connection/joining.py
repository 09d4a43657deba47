"""Connecting this process to a Ray, so that signals stay this program's and an address that is dead is told soon."""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from pdsearch.cluster.connection.choice import Choice
from pdsearch.errors import ClusterError, ConfigError, PdsearchError

__all__ = ["joined", "reach"]

_LOOK_EVERY_S = 0.01
_ANSWERS_WITHIN_S = 10.0
_SETTINGS, _FRAME_HEAD = 4, 9
_TAKEN = (signal.SIGINT, signal.SIGTERM)
"""Signals that Ray's core takes for itself when it starts; at the second one it dumps a stack."""


@contextmanager
def joined(address: str | None, level: int, verbose: bool, choice: Choice) -> Iterator[str]:
    """Be connected to a Ray while the block runs; give its host:port.

    Ray connects in a thread: it may hang outside Python, where no signal is heard, and its core takes signals for
    itself in passing, which are taken back at once.
    """
    import ray  # After the environment is set: Ray reads it when it is imported.

    failures: list[BaseException] = []
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in _TAKEN}
    thread = threading.Thread(target=_connect, args=(address, level, verbose, failures), daemon=True)
    thread.start()
    try:
        with nullcontext() if verbose else _speechless():
            try:
                _wait(thread, handlers)
            except BaseException:
                _wait(thread, handlers)  # Half of a connection cannot be ended.
                raise
        if failures:
            raise _not_joined(failures[0], choice) from failures[0]
        for name in ("ray", "ray.tune"):
            logging.getLogger(name).setLevel(level)
        # It warns of every trial whose metrics Tune itself did not write: of all of them.
        logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
        if (
            not verbose
        ):  # A run that was asked to stop would end with an error about trials that did not complete.
            logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def _connect(address: str | None, level: int, verbose: bool, failures: list[BaseException]) -> None:
    import ray  # As above.

    try:
        ray.init(address=address, log_to_driver=verbose, logging_level=level)
    except BaseException as error:  # Whatever it is, the thread that waits has to hear of it.
        failures.append(error)


def _wait(thread: threading.Thread, handlers: Mapping[signal.Signals, Any]) -> None:
    while True:
        thread.join(_LOOK_EVERY_S)
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if not thread.is_alive():
            return


def _not_joined(error: BaseException, choice: Choice) -> PdsearchError:
    if choice.address is None:
        hint = "run the same command again, or with --serial"
        return ClusterError(f"Ray started and cannot be used: {error}", hint=hint)
    return ConfigError(
        f"cannot join the Ray cluster: {error}",
        where=choice.where,
        hint="is it up, and is its token in RAY_AUTH_TOKEN or ~/.ray/auth_token, with RAY_AUTH_MODE=token?",
    )


def reach(address: str, choice: Choice) -> None:
    """Refuse an address at which nothing answers; Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    until = time.monotonic() + _ANSWERS_WITHIN_S
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN_S) as found:
                if not _speaks_as_ray(found):
                    raise _no_head(address, choice)
            return
        except OSError as error:
            if time.monotonic() >= until or isinstance(error, socket.gaierror):
                raise ConfigError(
                    f"cannot join the Ray cluster: nothing answers there ({error.strerror or error})",
                    where=choice.where,
                    hint="is it up, and is this its head's address? For a Ray of this machine alone: --address local",
                ) from error
        time.sleep(1.0)


def _no_head(address: str, choice: Choice) -> ConfigError:
    return ConfigError(
        "what answers there is no head of a Ray cluster",
        where=choice.where,
        hint="give the port of ray start --head, 6379 if none was said; if this is the dashboard:"
        f" ray job submit --address http://{address} -- pdsearch run SPACE",
    )


def _speaks_as_ray(found: socket.socket) -> bool:
    """Say whether HTTP/2 is spoken, as Ray does: a server's first words are a frame of its settings (RFC 9113, 3.4)."""
    said = b""
    with suppress(OSError):
        found.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)))
        while len(said) < _FRAME_HEAD and (more := found.recv(_FRAME_HEAD)):
            said += more
    return len(said) >= _FRAME_HEAD and said[3] == _SETTINGS


@contextmanager
def _speechless() -> Iterator[None]:
    """Keep off the screen what Ray's core says of its own tries to connect; in the end it is in an exception."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
