"""Bounds of time and memory for what follows a network's code, which may do anything when it is run."""

import multiprocessing
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar, cast

import torch
from torch import nn

from pdsearch.models.state_tensors import nbytes

T = TypeVar("T")

SECONDS, MEMORY, COPIES = 600, 4 * 2**30, 12
"""Bounds: seconds of computing; bytes, and so many times those of the network besides."""

LOOK_S = 0.02
WAITING = 5
"""So many times the seconds of computing may pass until the end, on a machine that does other things."""


class BoundError(Exception):
    """The computation went beyond a bound; the text says which."""


def bounded(make: Callable[[], T], network: nn.Module) -> T:
    """Return what a function returns in a fork of this process, which computes with one thread, on the CPU.

    Args:
        make: The function; its result, or the error that it raises, is pickled.
        network: What it follows; the larger it is, the more its memory may grow. That is watched where there is /proc.

    Raises:
        BoundError: It took more, or the process ended by itself.
    """
    most = MEMORY + COPIES * nbytes(network)
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(send, make, SECONDS), daemon=True)
    child.start()
    send.close()
    try:
        began, before = time.monotonic(), _held(child.pid)
        while not receive.poll(LOOK_S):
            if _held(child.pid) - before > most:
                raise BoundError(f"{most / 2**30:.3g} GB of memory")
            if time.monotonic() - began > WAITING * SECONDS:
                raise BoundError(f"{WAITING * SECONDS} s")
        try:
            found, error = receive.recv()
        except EOFError:
            child.join()
            if child.exitcode == -signal.SIGXCPU:
                raise BoundError(f"{SECONDS} s of computing") from None
            raise BoundError(f"what a process may: it ended with code {child.exitcode}") from None
    finally:
        child.kill()
        child.join()
        receive.close()
    if error is not None:
        raise error
    return cast("T", found)


def _run(send: Connection, make: Callable[[], object], seconds: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It ends with its parent, which is told.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if most < 0 else min(seconds, most), most))
    torch.set_num_threads(1)  # The threads of the parent's pool are not here.
    try:
        send.send((make(), None))
    except Exception as error:
        send.send((None, error))


def _held(process: int | None) -> int:
    """Return the bytes of memory that a process holds for itself."""
    with suppress(OSError, ValueError, IndexError):
        status = Path(f"/proc/{process}/status").read_text()
        return 1024 * int(status.partition("RssAnon:")[2].split()[0])
    return 0
