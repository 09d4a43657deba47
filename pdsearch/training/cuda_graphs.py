"""Training steps captured as CUDA graphs and replayed where that gives the same bits sooner.

A capture holds for one epoch: with it change where the teacher's logits lie and what a loss's parameters are. So the
first step of an epoch runs plainly, and makes what is made once an epoch; the second is captured. In a training's first
epoch a captured step is held against a plain one, bit for bit, and both are timed: what cannot be captured, differs, or
gains little goes on plainly. Only time depends on what is found, so that it is found anew by every training.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from pdsearch.training.checkpoint import random_states, restore_random
from pdsearch.training.graph import Graph
from pdsearch.training.state import TrainingState

__all__ = [
    "Captured",
    "Moment",
    "Work",
    "equal",
]


class Moment:
    """A copy of all that a step without its optimizer changes, to go back to and to compare with.

    Args:
        state: Holds the network; its buffers are copied.
        total: The sum of losses.
        device: Of the training.
    """

    def __init__(self, state: TrainingState, total: Tensor, device: str) -> None:
        self._tensors, self._device = [total, *state.model.buffers()], device
        self._copies = [tensor.clone() for tensor in self._tensors]
        self._random = random_states(device)

    def restore(self) -> None:
        """Go back."""
        for tensor, copy in zip(self._tensors, self._copies, strict=True):
            tensor.copy_(copy)
        restore_random(self._random, self._device)

    def is_now(self) -> bool:
        """Return whether everything is as it was, bit for bit."""
        drawn = any(self.drew(name) for name in self._random)
        return not drawn and equal(self._tensors, self._copies)

    def drew(self, generator: str) -> bool:
        """Return whether a generator, "cpu" or "cuda", has been drawn from since."""
        return not torch.equal(self._random[generator], random_states(self._device)[generator])


def equal(some: Sequence[Tensor | None], others: Sequence[Tensor | None]) -> bool:
    """Return whether tensors are the same to the bit; waits for the device once."""
    if [one is None for one in some] != [other is None for other in others]:
        return False
    pairs = [(a, b) for a, b in zip(some, others, strict=True) if a is not None and b is not None]
    return not pairs or bool(torch.stack([(a == b).all() for a, b in pairs]).all())


Work: TypeAlias = Callable[[Tensor, Tensor], None]
"""work(images, index) computes the gradients of a batch; of other contents of the same tensors, those of another."""

READY, TIMED = 3, 12
"""Steps in which libraries get ready, the first of an epoch among them, and steps of each kind that are timed."""
PAYS = 1.1
"""Times as fast, at least, to be worth a second set of activations in memory."""
LEAST = READY + 2 * TIMED + 5
"""Full steps of an epoch, at least: capturing one takes as long as some three of them."""


class Captured:
    """Runs the work of a training's steps. Invariant: gradients, buffers and losses are those of the plain work.

    Args:
        graph: Captures and replays.
        state: Of the training.
        device: That it runs on.
    """

    def __init__(self, graph: Graph, state: TrainingState, device: str) -> None:
        self._graph, self._state, self._device = graph, state, device
        self._held: tuple[Tensor, Tensor] | None = None
        self._gradients: list[Tensor | None] = []
        self._plain: list[float] = []
        self._replayed: list[float] = []
        self.ratio: float | None = None
        """How many times as fast a step is when it is replayed; 0 where it cannot be; None before it is known."""

    def epoch(self, work: Work, total: Tensor, *, size: int, steps: int) -> Work:
        """Return what runs the steps of an epoch.

        Args:
            work: Runs them plainly.
            total: The sum that it adds losses to, on the device.
            size: Images of a full step; others always run plainly.
            steps: How many full ones are to come.
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
            self._plainly(images, index)
        elif self._pays is None:
            self._try(images, index)
        else:
            self._replay_on(images, index)
        self._done += full

    def _plainly(self, images: Tensor, index: Tensor) -> None:
        if self._pays is False and self._held is not None:
            self._let_go()
        self._work(images, index)

    def _try(self, images: Tensor, index: Tensor) -> None:
        """Run a step of an epoch in which it is found out whether replaying pays."""
        if self._done < READY:
            self._get_ready(images, index)
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
            before = self._moment()
            try:
                self._capture(images, index)
            except RuntimeError:  # Memory is fuller than it was in another epoch, say.
                self._refuse(before)
                self._work(images, index)
                return
            before.restore()
        self._replay(images, index)

    def _get_ready(self, images: Tensor, index: Tensor) -> None:
        before = self._moment()
        try:
            with self._graph.ready():
                self._work(images, index)
        except RuntimeError:
            self._refuse(before)
            self._work(images, index)

    def _compare(self, images: Tensor, index: Tensor) -> None:
        """Run a step plainly and captured; whatever it is, leave what the plain one gives."""
        before = self._moment()
        try:
            self._capture(images, index)
        except RuntimeError:
            self._refuse(before)
            self._work(images, index)
            return
        # What a capture draws on the CPU is drawn once and for all, where the GPU's numbers are drawn anew.
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
