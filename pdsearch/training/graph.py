"""Work captured once as a CUDA graph and started again as a whole.

Starting the hundreds of kernels of a step one by one takes Python longer than a GPU needs to compute a small network's.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

__all__ = ["CudaGraph", "Graph"]

ROOM = 1.25
"""Free memory that a first capture asks for, as a multiple of what steps have been seen to need."""


class Graph(Protocol):
    """Holds one captured piece of work; replayed, it computes the same from what its tensors hold by then."""

    def ready(self) -> AbstractContextManager[None]:
        """Return a context to run work in before it is captured, in which libraries get ready for it.

        Raises:
            RuntimeError: In the context: the work cannot be captured, for it waits for the device.
        """

    def capture(self, work: Callable[[], None]) -> None:
        """Capture work in place of what was held; it need not be computed meanwhile.

        Raises:
            RuntimeError: It cannot be captured, or there is no room.
        """

    def replay(self) -> None:
        """Start the captured work; does not wait for it."""

    def wait(self) -> None:
        """Wait for all that was started."""

    def clear(self) -> None:
        """Let go of what was captured."""


class CudaGraph:
    """A CUDA graph: kernels, and the memory they use, which stays theirs until it is cleared.

    Args:
        device: "cuda" or "cuda:N".
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device)
        self._graph: torch.cuda.CUDAGraph | None = None

    @contextmanager
    def ready(self) -> Iterator[None]:
        """See `Graph`; the work runs on the stream that will be captured."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        mode = torch.cuda.get_sync_debug_mode()
        try:
            # A wait found now is an error that changes nothing; one found while capture ends the capture half-way.
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # That it is a prototype.
                torch.cuda.set_sync_debug_mode("error")
            with torch.cuda.stream(self._stream):
                yield
        finally:
            torch.cuda.set_sync_debug_mode(mode)
            self.wait()

    def capture(self, work: Callable[[], None]) -> None:
        """See `Graph`; what other threads do meanwhile does not matter."""
        if self._graph is None:
            self._check_room()
        graph = torch.cuda.CUDAGraph()
        # The former graph's memory, which is free but for what it left behind; a pool lasts while a graph holds it.
        pool = torch.cuda.graph_pool_handle() if self._graph is None else self._graph.pool()
        self.wait()
        # Not torch.cuda.graph: it gives free memory back, for which the rest of every epoch would have to ask again.
        with torch.cuda.stream(self._stream):
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        self.clear()
        self._graph = graph

    def replay(self) -> None:
        """See `Graph`."""
        assert self._graph is not None
        self._graph.replay()

    def wait(self) -> None:
        """See `Graph`."""
        torch.cuda.synchronize(self._device)

    def clear(self) -> None:
        """See `Graph`."""
        if self._graph is not None:
            self.wait()  # What is still computed uses its memory.
            self._graph.reset()
            self._graph = None

    def _check_room(self) -> None:
        torch.cuda.empty_cache()
        needed = torch.cuda.max_memory_allocated(self._device) - torch.cuda.memory_allocated(self._device)
        free = torch.cuda.mem_get_info(self._device)[0]
        if free < ROOM * needed:
            raise RuntimeError(f"{free / 1e9:.1f} GB are free, a step needs {needed / 1e9:.1f}")
