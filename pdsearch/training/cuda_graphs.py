"""Training steps captured as CUDA graphs, and replayed where that is faster and gives bit-identical results.

A capture is valid for one epoch, because the address of the teacher's logits and the parameters of the loss change
between epochs. So the first step of an epoch runs eagerly and allocates what is needed once an epoch; the second is
captured. In the first epoch of a training run, a captured step is compared bit for bit with an eager one, and both are
timed: steps that cannot be captured, differ, or gain little continue eagerly. The outcome affects only the time, so
every training run determines it anew.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor

from pdsearch.training.device import Engine, random_states, restore_random
from pdsearch.training.training_state import TrainingState

ROOM = 1.25
"""Free memory required for a first capture, as a multiple of the peak memory of earlier steps."""


class CudaGraph:
    """One captured function: its kernels, and the memory reserved for them until `clear`.

    For a small network, Python needs longer to launch the hundreds of kernels of a step than the GPU needs to run them.

    Args:
        device: "cuda" or "cuda:N".
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device)
        self._graph: torch.cuda.CUDAGraph | None = None

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Warm up on the stream that will be captured, before the capture: libraries initialise.

        Raises:
            RuntimeError: In the block: the work synchronises with the device and cannot be captured.
        """
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
        """Capture work in place of the former capture, without computing it; other threads may use CUDA meanwhile.

        Raises:
            RuntimeError: It cannot be captured, or there is too little memory.
        """
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
        """Launch the captured work, on what its tensors hold now, without waiting for it."""
        assert self._graph is not None
        self._graph.replay()

    def wait(self) -> None:
        """Wait for all launched work."""
        torch.cuda.synchronize(self._device)

    def clear(self) -> None:
        """Release the capture and its memory."""
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


class Moment:
    """What a step changes besides the optimizer (buffers, loss sum, random state), to restore and to compare with."""

    def __init__(self, state: TrainingState, total: Tensor, device: str) -> None:
        self._tensors, self._device = [total, *state.model.buffers()], device
        self._copies = [tensor.clone() for tensor in self._tensors]
        self._random = random_states(device)

    def restore(self) -> None:
        """Restore the snapshot."""
        for tensor, copy in zip(self._tensors, self._copies, strict=True):
            tensor.copy_(copy)
        restore_random(self._random, self._device)

    def is_now(self) -> bool:
        """Return whether the current values equal the snapshot, bit for bit."""
        drawn = any(self.drew(name) for name in self._random)
        return not drawn and equal(self._tensors, self._copies)

    def drew(self, generator: str) -> bool:
        """Return whether a generator, "cpu" or "cuda", has been used since the snapshot."""
        return not torch.equal(self._random[generator], random_states(self._device)[generator])


def equal(some: Sequence[Tensor | None], others: Sequence[Tensor | None]) -> bool:
    """Return whether tensors are bit-identical; synchronises with the device once."""
    if [one is None for one in some] != [other is None for other in others]:
        return False
    pairs = [(a, b) for a, b in zip(some, others, strict=True) if a is not None and b is not None]
    return not pairs or bool(torch.stack([(a == b).all() for a, b in pairs]).all())


Work: TypeAlias = Callable[[Tensor, Tensor], None]
"""work(images, index) computes the gradients of a batch; it reads its tensors in place, so that it can be replayed."""

READY, TIMED = 3, 12
"""Number of warm-up steps, the first of an epoch included, and of timed steps of each kind (eager, replayed)."""
PAYS = 1.1
"""Minimum speed-up that justifies a second set of activations in memory."""
LEAST = READY + 2 * TIMED + 5
"""Minimum full steps of an epoch: capturing takes as long as about three steps."""


class Captured:
    """Runs training steps, eagerly or replayed. Invariant: gradients, buffers and losses equal those of eager steps."""

    def __init__(self, graph: CudaGraph, state: TrainingState, device: str) -> None:
        self._graph, self._state, self._device = graph, state, device
        self._held: tuple[Tensor, Tensor] | None = None
        self._gradients: list[Tensor | None] = []
        self._plain: list[float] = []
        self._replayed: list[float] = []
        self.ratio: float | None = None
        """Speed-up of a replayed step; 0 if it cannot be replayed; None before it is measured."""

    @classmethod
    def of(cls, state: TrainingState, engine: Engine) -> "Captured | None":
        """Return what runs a training's steps on a GPU; None on a CPU, or for batches split into parts."""
        if engine.kind != "cuda" or not engine.graphs or engine.parts > 1:
            return None
        return cls(CudaGraph(engine.device), state, engine.device)

    def epoch(self, work: Work, total: Tensor, *, size: int, steps: int) -> Work:
        """Return the function that runs the steps of an epoch.

        Args:
            work: Runs one step eagerly.
            total: The loss sum that it adds to, on the device.
            size: Images of a full step; smaller steps always run eagerly.
            steps: Number of full steps to come.
        """
        self._work, self._total, self._size, self._done = work, total, size, 0
        self._held, self._gradients = None, []
        if self._pays is False:
            self._let_go()
        return self._run if steps >= LEAST and self._pays is not False else work

    @property
    def _pays(self) -> bool | None:
        return None if self.ratio is None else self.ratio >= PAYS

    def _run(self, images: Tensor, index: Tensor) -> None:
        full = len(index) == self._size
        if not full or self._done == 0 or self._pays is False:
            if self._pays is False and self._held is not None:
                self._let_go()
            self._work(images, index)
        elif self._pays is None:
            self._try(images, index)
        else:
            self._replay_on(images, index)
        self._done += full

    def _try(self, images: Tensor, index: Tensor) -> None:
        """Run a step of the epoch that measures whether replaying is faster."""
        if self._done < READY:
            self._before(self._warm_up, images, index)
        elif len(self._plain) < TIMED:
            self._plain.append(self._seconds(self._work, images, index))
        elif self._held is None:
            self._compare(images, index)
        else:
            self._replayed.append(self._seconds(self._replay, images, index))
            if len(self._replayed) == TIMED:
                self.ratio = statistics.median(self._plain) / statistics.median(self._replayed)

    def _replay_on(self, images: Tensor, index: Tensor) -> None:
        if self._held is None:
            before = self._before(self._capture, images, index)
            if before is None:
                return
            before.restore()
        self._replay(images, index)

    def _warm_up(self, images: Tensor, index: Tensor) -> None:
        with self._graph.ready():
            self._work(images, index)

    def _before(self, run: Work, images: Tensor, index: Tensor) -> Moment | None:
        """Run a step and return the moment before; None where that fails: it and all later steps run eagerly."""
        before = self._moment()
        try:
            run(images, index)
        except RuntimeError:  # E.g. less memory is free than in an earlier epoch.
            self._refuse(before)
            self._work(images, index)
            return None
        return before

    def _compare(self, images: Tensor, index: Tensor) -> None:
        """Run a step eagerly and captured; keep the eager result in any case."""
        before = self._before(self._capture, images, index)
        if before is None:
            return
        # Random numbers drawn on the CPU are frozen into a capture; those of the GPU are drawn anew at each replay.
        frozen = self._device != "cpu" and before.drew("cpu")
        captured = self._gradients
        before.restore()
        self._work(images, index)
        plain, after = self._state.gradients(), self._moment()
        before.restore()
        self._replay(images, index)
        if frozen or not (equal(captured, plain) and after.is_now()):
            self._state.put_gradients(plain)
            self._refuse(after)

    def _capture(self, images: Tensor, index: Tensor) -> None:
        held = images.clone(), index.clone()
        self._graph.capture(lambda: self._work(*held))
        self._held, self._gradients = held, self._state.gradients()

    def _replay(self, images: Tensor, index: Tensor) -> None:
        assert self._held is not None
        for held, given in zip(self._held, (images, index), strict=True):
            held.copy_(given)
        self._graph.replay()
        self._state.put_gradients(self._gradients)

    def _seconds(self, run: Work, images: Tensor, index: Tensor) -> float:
        self._graph.wait()
        start = time.perf_counter()
        run(images, index)
        self._graph.wait()
        return time.perf_counter() - start

    def _moment(self) -> Moment:
        return Moment(self._state, self._total, self._device)

    def _refuse(self, moment: Moment) -> None:
        self.ratio = 0.0
        moment.restore()

    def _let_go(self) -> None:
        self._state.forget_gradients()
        self._held, self._gradients = None, []
        self._graph.clear()
