"""What happens in one epoch? Every image once, in a fresh order, masked weights kept at zero."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.models import listed
from pdsearch.specs import Recipe, derive_seed
from pdsearch.training.ahead import seen
from pdsearch.training.captured import Captured, Work
from pdsearch.training.engine import Engine
from pdsearch.training.evaluate import Batches
from pdsearch.training.objective import Objective
from pdsearch.training.order import batches, order
from pdsearch.training.part import BEGIN, Part, random_states
from pdsearch.training.passes import Passes
from pdsearch.training.report import EpochReport
from pdsearch.training.schedule import learning_rate
from pdsearch.training.seeding import reproducible
from pdsearch.training.state import TrainingState

__all__ = ["Epochs", "Keep", "masked_weights"]

Keep: TypeAlias = Callable[[Callable[[], Part]], object]


@dataclass(frozen=True)
class Epochs:
    """All that an epoch needs; see `pdsearch.training.fit` for the arguments.

    Args:
        masked: What `masked_weights` returned.
        captured: Captures and replays its steps; None runs them one by one.
    """

    state: TrainingState
    views: Batches
    objective: Objective
    recipe: Recipe
    seed: int
    evaluate: Callable[[nn.Module], float | None]
    engine: Engine
    masked: Sequence[tuple[nn.Parameter, Tensor]]
    captured: Captured | None = None

    def run(self, epoch: int, begun: Part = BEGIN, keep: Keep = lambda _part: None) -> EpochReport:
        """Train and measure one epoch, counted from 0; the best weights so far are remembered.

        Args:
            epoch: Its number.
            begun: What was done of it before.
            keep: Asked after each step whether to save, with what returns how far the epoch has come.

        Raises:
            TrialError: The training diverged, or the network answers with what is no number.
            StorageError: Progress could not be written.
        """
        start = time.perf_counter() - begun.seconds
        seed = derive_seed(self.seed, "epoch", epoch)
        with reproducible(seed, device=self.engine.device, threads=self.engine.threads):
            loss, lr = self._train(epoch, begun, start, keep)
            with self.state.handing_on() as model:
                self._check(epoch, loss)
                value = self.evaluate(model)
                seconds = time.perf_counter() - start
                report = EpochReport(epoch + 1, self.recipe.epochs, loss, value, lr, seconds)
                self.state.consider(value)
        return report

    def _check(self, epoch: int, loss: float) -> None:
        """Refuse to go on from a loss, or with a network, that is no number: asked once an epoch, it costs nothing."""
        wrong = [*([] if math.isfinite(loss) else ["the loss"]), *self.state.not_finite()]
        if wrong:
            raise TrialError(
                f"diverged in epoch {epoch + 1} of {self.recipe.epochs}: {listed(wrong)} not finite",
                hint="a smaller learning rate, or warmup_epochs, may help",
            )

    def _train(self, epoch: int, begun: Part, start: float, keep: Keep) -> tuple[float, float]:
        self.state.model.train()
        device, size = self.engine.device, self.recipe.batch_size
        steps = batches(order(self.seed, epoch, len(self.views)).to(device), size)
        total, left = begun.begin(device), steps[begun.steps :]
        work = self._work(epoch, total, sum(len(index) == size for index in left))
        lr = learning_rate(self.recipe, epoch, len(steps) - 1, len(steps))
        for step, (images, index) in enumerate(seen(self.views, epoch, left, self.engine), begun.steps):
            lr = learning_rate(self.recipe, epoch, step, len(steps))
            work(images, index)
            self._step(lr)
            keep(partial(_now, step + 1, start, total, device))
        return float(total) / len(self.views), lr

    def _work(self, epoch: int, total: Tensor, steps: int) -> Work:
        """Return what computes the gradients of an epoch's steps, of which so many are full ones."""

        def plainly(images: Tensor, index: Tensor) -> None:
            passes.run(images, index, epoch, total)

        passes = Passes(self.state, self.objective, self.engine)
        if self.captured is None:
            return plainly
        return self.captured.epoch(plainly, total, size=self.recipe.batch_size, steps=steps)

    def _step(self, lr: float) -> None:
        optimizer, scaler = self.state.optimizer, self.state.scaler
        for group in optimizer.param_groups:
            group["lr"] = lr
        # A weight that starts at zero, and whose gradient and momentum are always zero, stays exactly zero.
        for parameter, kept in self.masked:
            if parameter.grad is not None:
                parameter.grad.mul_(kept)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        self.state.average()


def _now(steps: int, start: float, total: Tensor, device: str) -> Part:
    return Part(steps, time.perf_counter() - start, total, random_states(device))


def masked_weights(model: nn.Module, mask: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor]]:
    """Zero the masked weights; return each masked parameter with its mask as numbers.

    Raises:
        TrialError: A name or a shape is not the network's.
    """
    parameters, masked = dict(model.named_parameters()), []
    for name, keep in mask.items():
        if name not in parameters or parameters[name].shape != keep.shape:
            raise TrialError(f"the mask of {name!r} does not fit the network")
        parameter = parameters[name]
        kept = torch.empty_like(parameter).detach().copy_(keep)
        with torch.no_grad():
            parameter.masked_fill_(kept == 0, 0.0)
        masked.append((parameter, kept))
    return masked
