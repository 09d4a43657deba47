"""Connection of this process to Ray, which keeps its signal handlers and detects a dead address soon."""

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

_LOOK_EVERY_S = 0.01
_ANSWERS_WITHIN_S = 10.0
_SETTINGS, _FRAME_HEAD = 4, 9
_TAKEN = (signal.SIGINT, signal.SIGTERM)
"""Signals whose handlers Ray's core replaces when it starts; at the second one it dumps a stack."""


@contextmanager
def joined(address: str | None, level: int, verbose: bool, choice: Choice) -> Iterator[str]:
    """Connect to Ray while the block runs; yield its host:port.

    Ray connects in a thread: it may hang outside Python, where no signal is handled, and its core replaces signal
    handlers, which are restored at once.
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
                _wait(thread, handlers)  # A half-made connection cannot be closed.
                raise
        if failures:
            raise _not_joined(failures[0], choice) from failures[0]
        for name in ("ray", "ray.tune"):
            logging.getLogger(name).setLevel(level)
        # It warns about every trial whose metrics Tune did not write itself, which is all of them.
        logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
        if not verbose:  # An interrupted run would end with an error about trials that did not complete.
            logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def _connect(address: str | None, level: int, verbose: bool, failures: list[BaseException]) -> None:
    import ray  # As above.

    try:
        ray.init(address=address, log_to_driver=verbose, logging_level=level)
    except BaseException as error:  # Whatever it is, the waiting thread must receive it.
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
    """Raise a ConfigError if no Ray answers at an address; Ray itself would try for a minute."""
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
    """Return whether the peer speaks HTTP/2, as Ray does: a server first sends a SETTINGS frame (RFC 9113, 3.4)."""
    said = b""
    with suppress(OSError):
        found.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)))
        while len(said) < _FRAME_HEAD and (more := found.recv(_FRAME_HEAD)):
            said += more
    return len(said) >= _FRAME_HEAD and said[3] == _SETTINGS


@contextmanager
def _speechless() -> Iterator[None]:
    """Silence what Ray's core prints about failed attempts to connect; the final exception has the reason."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
