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
from pdsearch.specs import Recipe, derive_seed
from pdsearch.training.engine import Engine
from pdsearch.training.evaluate import Batches
from pdsearch.training.objective import Objective
from pdsearch.training.order import batches, order
from pdsearch.training.part import BEGIN, Part, random_states
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
    """

    state: TrainingState
    views: Batches
    objective: Objective
    recipe: Recipe
    seed: int
    evaluate: Callable[[nn.Module], float | None]
    engine: Engine
    masked: Sequence[tuple[nn.Parameter, Tensor]]

    def run(self, epoch: int, begun: Part = BEGIN, keep: Keep = lambda _part: None) -> EpochReport:
        """Train and measure one epoch, counted from 0; the best weights so far are remembered.

        Args:
            epoch: Its number.
            begun: What was done of it before.
            keep: Asked after each step whether to save, with what returns how far the epoch has come.

        Raises:
            TrialError: The training diverged.
            StorageError: Progress could not be written.
        """
        start = time.perf_counter() - begun.seconds
        seed = derive_seed(self.seed, "epoch", epoch)
        with reproducible(seed, device=self.engine.device, threads=self.engine.threads):
            loss, lr = self._train(epoch, begun, start, keep)
            if not self.state.finite():
                raise TrialError(
                    f"diverged in epoch {epoch + 1} of {self.recipe.epochs}: a weight is not finite"
                )
            if not math.isfinite(loss):
                raise TrialError(
                    f"diverged in epoch {epoch + 1} of {self.recipe.epochs}: the loss is no number"
                )
            with self.state.handing_on() as model:
                value = self.evaluate(model)
                seconds = time.perf_counter() - start
                report = EpochReport(epoch + 1, self.recipe.epochs, loss, value, lr, seconds)
                self.state.consider(value)
        return report

    def _train(self, epoch: int, begun: Part, start: float, keep: Keep) -> tuple[float, float]:
        self.state.model.train()
        device = self.engine.device
        shown = order(self.seed, epoch, len(self.views)).to(device)
        steps = batches(shown, self.recipe.batch_size)
        # Summed on the device: asking for each step's loss would make a GPU wait at every step.
        total = begun.begin(device)
        lr = learning_rate(self.recipe, epoch, len(steps) - 1, len(steps))
        for step, index in enumerate(steps[begun.steps :], begun.steps):
            lr = learning_rate(self.recipe, epoch, step, len(steps))
            self.state.forget_gradients()
            for part in index.chunk(self.engine.parts) if self.engine.parts > 1 else (index,):
                images = self.engine.images(self.views.batch(epoch, part))
                with self.engine.autocast():
                    loss = self.objective(self.state.model, images, part, epoch)
                self._backward(loss if len(part) == len(index) else loss * (len(part) / len(index)))
                total.add_(loss.detach(), alpha=len(part))
            self._step(lr)
            keep(partial(_now, step + 1, start, total, device))
        return float(total) / len(self.views), lr

    def _backward(self, loss: Tensor) -> None:
        scaler = self.state.scaler
        torch.autograd.backward(loss if scaler is None else scaler.scale(loss))

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
