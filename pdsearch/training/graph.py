"""Capture and replay of work as a CUDA graph.

For a small network, Python needs longer to launch the hundreds of kernels of a step than the GPU needs to run them.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch

ROOM = 1.25
"""Free memory required for a first capture, as a multiple of the peak memory of earlier steps."""


class Graph(Protocol):
    """Holds one captured function; a replay runs it on the current contents of its tensors."""

    def ready(self) -> AbstractContextManager[None]:
        """Return a context for warm-up runs before the capture, in which libraries initialise.

        Raises:
            RuntimeError: In the context: the work synchronises with the device and cannot be captured.
        """

    def capture(self, work: Callable[[], None]) -> None:
        """Capture work in place of the former capture; the capture itself need not compute anything.

        Raises:
            RuntimeError: It cannot be captured, or there is too little memory.
        """

    def replay(self) -> None:
        """Launch the captured work without waiting for it."""

    def wait(self) -> None:
        """Wait for all launched work."""

    def clear(self) -> None:
        """Release the capture and its memory."""


class CudaGraph:
    """A CUDA graph: captured kernels, and the memory reserved for them until `clear`.

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
            # A synchronisation found now is a harmless error; one found during the capture would abort it half-way.
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # Says: a prototype.
                torch.cuda.set_sync_debug_mode("error")
            with torch.cuda.stream(self._stream):
                yield
        finally:
            torch.cuda.set_sync_debug_mode(mode)
            self.wait()

    def capture(self, work: Callable[[], None]) -> None:
        """See `Graph`; other threads may use CUDA meanwhile."""
        if self._graph is None:
            self._check_room()
        graph = torch.cuda.CUDAGraph()
        # Reuse the former graph's memory pool, free but for its outputs; a pool lives as long as a graph holds it.
        pool = torch.cuda.graph_pool_handle() if self._graph is None else self._graph.pool()
        self.wait()
        # Not torch.cuda.graph: it releases cached memory, which the rest of every epoch would have to allocate again.
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
            self.wait()  # Running kernels still use its memory.
            self._graph.reset()
            self._graph = None

    def _check_room(self) -> None:
        torch.cuda.empty_cache()
        needed = torch.cuda.max_memory_allocated(self._device) - torch.cuda.memory_allocated(self._device)
        free = torch.cuda.mem_get_info(self._device)[0]
        if free < ROOM * needed:
            raise RuntimeError(f"{free / 1e9:.1f} GB are free, a step needs {needed / 1e9:.1f}")
