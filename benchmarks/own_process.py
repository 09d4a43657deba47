"""A way of working measured in a process of its own, as its users have it."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Protocol

import torch


class Trains(Protocol):
    """What is run there."""

    def epoch(self) -> object:
        """Train for an epoch."""


@contextmanager
def apart(make: Callable[[], Trains]) -> Iterator[Callable[[], Any]]:
    """Make something in a fresh process of one thread; give back a function that has an epoch run there and waits.

    Args:
        make: Called in the process, which receives it by pickle.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make), daemon=True)
    process.start()
    there.close()

    def epoch() -> Any:
        here.send(True)
        return here.recv()

    try:
        here.recv()
        yield epoch
    finally:
        here.close()
        process.join()


def _serve(asked: Connection, make: Callable[[], Trains]) -> None:
    torch.set_num_threads(1)
    made = make()
    asked.send(True)
    try:
        while asked.recv():
            made.epoch()
            asked.send(True)
    except EOFError:
        return
