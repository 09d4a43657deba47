"""Objective and loop of a training: a generator of one report per epoch, which may be closed early."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.errors import TrialError
from pdsearch.models import names_and_verb
from pdsearch.specs import Recipe, derive_seed, digest, keyed
from pdsearch.training.checkpoint import BEGIN, Checkpoint, EpochPart, EpochReport, TrainingProgress
from pdsearch.training.cuda_graphs import Captured, Work
from pdsearch.training.device import Engine, random_states, reproducible
from pdsearch.training.evaluate import Batches
from pdsearch.training.optim import learning_rate, validate
from pdsearch.training.training_state import TrainingState

Objective: TypeAlias = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""objective(model, images, index, epoch) -> scalar loss, the mean over the batch.

Images are float32 (B, C, H, W) on the engine's device, index int64 (B,) their positions in the split, epoch
counts from 0. It is called under autocast, with the network in training mode.
"""


Targets: TypeAlias = Callable[[int, Tensor], Tensor]
"""targets(epoch, index) -> class indices, int64 (B,), or probabilities, float32 (B, classes)."""


def towards(targets: Targets, *, label_smoothing: float = 0.0) -> Objective:
    """Return the cross-entropy objective with the targets of an epoch's views."""

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        answers = model(images).float()
        return functional.cross_entropy(answers, targets(epoch, index), label_smoothing=label_smoothing)

    return objective


def order(seed: int, epoch: int, images: int) -> Tensor:
    """Return a random permutation of the image positions for an epoch (from 0), int64 (images,), on the CPU."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
    return torch.randperm(images, generator=generator)


def batches(shown: Tensor, size: int) -> list[Tensor]:
    """Split an order into batches; a last batch of a single image is merged into the one before.

    Batch normalisation cannot compute statistics of a single image.
    """
    found = list(torch.split(shown, size))
    if len(found) > 1 and len(found[-1]) == 1:
        found[-2:] = [torch.cat(found[-2:])]
    return found


def seen(
    views: Batches, epoch: int, steps: Sequence[Tensor], engine: Engine
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of each training step, float32 (B, C, H, W) on the device, and their positions, int64 (B,).

    Args:
        views: Source of the images; the view of an image does not depend on the rest of its batch.
        epoch: From 0.
        steps: Positions of the images of each step.
        engine: Target device, and how many bytes of views to compute at once.
    """
    left, count = list(steps), 1
    while left:
        now, left = left[:count], left[count:]
        images = engine.images(views.batch(epoch, now[0] if len(now) == 1 else torch.cat(now)))
        yield from zip(images.split([len(index) for index in now]), now, strict=True)
        count = max(1, engine.ahead_bytes // (images.nbytes // len(now)))


Keep: TypeAlias = Callable[[Callable[[], EpochPart]], object]


@dataclass(frozen=True)
class EpochRunner:
    """Runs the epochs of one training run; see `pdsearch.training.fit` for the other arguments.

    Args:
        masked: The result of `masked_weights`.
        captured: Captures and replays steps as CUDA graphs; None runs all steps eagerly.
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

    def run(self, epoch: int, begun: EpochPart = BEGIN, keep: Keep = lambda _part: None) -> EpochReport:
        """Train and evaluate one epoch; the best weights so far are remembered.

        Args:
            epoch: From 0.
            begun: State of the epoch if it was interrupted.
            keep: Called after each step to save if due, with a function that returns the state of the epoch.

        Raises:
            TrialError: The training diverged, or a logit is not finite.
            StorageError: The checkpoint could not be written.
        """
        start = time.perf_counter() - begun.seconds
        seed = derive_seed(self.seed, "epoch", epoch)
        with reproducible(seed, device=self.engine.device):
            loss, lr = self._train(epoch, begun, start, keep)
            with self.state.handing_on() as model:
                self._check(epoch, loss)
                value = self.evaluate(model)
                seconds = time.perf_counter() - start
                report = EpochReport(epoch + 1, self.recipe.epochs, loss, value, lr, seconds)
                self.state.consider(value)
        return report

    def _check(self, epoch: int, loss: float) -> None:
        """Raise if the loss or a weight is not finite; once per epoch this costs nothing."""
        wrong = [*([] if math.isfinite(loss) else ["the loss"]), *self.state.not_finite()]
        if wrong:
            raise TrialError(
                f"diverged in epoch {epoch + 1} of {self.recipe.epochs}: {names_and_verb(wrong)} not finite",
                hint="a smaller learning rate, or warmup_epochs, may help",
            )

    def _train(self, epoch: int, begun: EpochPart, start: float, keep: Keep) -> tuple[float, float]:
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
        """Return the function that computes the gradients of an epoch's steps; `steps` of them are full."""

        def plainly(images: Tensor, index: Tensor) -> None:
            self.passes(images, index, epoch, total)

        if self.captured is None:
            return plainly
        return self.captured.epoch(plainly, total, size=self.recipe.batch_size, steps=steps)

    def passes(self, images: Tensor, index: Tensor, epoch: int, total: Tensor) -> None:
        """Compute the gradients of a batch and add its losses to a total; no part is a single image.

        Args:
            images: Float32 (B, C, H, W), on the device.
            index: int64 (B,), their positions in the split.
            epoch: From 0.
            total: Float64 (), on the device: reading the loss of each step would synchronise with the GPU.
        """
        self.state.forget_gradients()
        count, scaler = self.engine.parts, self.state.scaler
        parts = [index] if count == 1 else batches(index, max(2, -(-len(index) // count)))
        for shown, part in zip(images.split([len(part) for part in parts]), parts, strict=True):
            with self.engine.autocast():
                loss = self.objective(self.state.model, shown, part, epoch)
            share = loss if len(part) == len(index) else loss * (len(part) / len(index))
            torch.autograd.backward(share if scaler is None else scaler.scale(share))
            total.add_(loss.detach(), alpha=len(part))

    def _step(self, lr: float) -> None:
        optimizer, scaler = self.state.optimizer, self.state.scaler
        for group in optimizer.param_groups:
            group["lr"] = lr
        # A weight that starts at zero with gradient and momentum always zero stays exactly zero.
        for parameter, kept in self.masked:
            if parameter.grad is not None:
                parameter.grad.mul_(kept)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        self.state.average()


def _now(steps: int, start: float, total: Tensor, device: str) -> EpochPart:
    return EpochPart(steps, time.perf_counter() - start, total, random_states(device))


def masked_weights(model: nn.Module, mask: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor]]:
    """Set the masked weights to zero; return each masked parameter with its mask as floats.

    Raises:
        TrialError: The network has no parameter of this name and shape.
    """
    # The mask's name of a shared weight may be its second one.
    parameters, masked = dict(model.named_parameters(remove_duplicate=False)), []
    for name, keep in mask.items():
        if name not in parameters or parameters[name].shape != keep.shape:
            raise TrialError(f"the mask of {name!r} does not fit the network")
        parameter = parameters[name]
        kept = torch.empty_like(parameter).detach().copy_(keep)
        with torch.no_grad():
            parameter.masked_fill_(kept == 0, 0.0)
        masked.append((parameter, kept))
    return masked


def fit(
    model: nn.Module,
    *,
    views: Batches,
    objective: Objective,
    recipe: Recipe,
    seed: int,
    evaluate: Callable[[nn.Module], float | None],
    engine: Engine,
    mask: Mapping[str, Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Generator[EpochReport, None, None]:
    """Train a network in place; yield a report after each epoch.

    The result depends on the network, the views, the objective, the recipe, the seed, the mask and the
    precision, never on torch's global generators, whose state is unchanged. When the generator is exhausted, the
    network holds the weights that the recipe selects. It may be closed at any report, and then saves a checkpoint;
    during training it saves after the first step at which the checkpoint's interval has passed. With a checkpoint, a
    later call with equal arguments and a network of the same shape yields the stored reports again and resumes from
    the checkpoint, in the middle of an epoch too, with bit-identical results.

    Args:
        model: The network.
        views: Training images.
        objective: The loss of a batch.
        recipe: Optimizer, schedule, epochs, selection.
        seed: Seed of the order of images (by epoch) and of dropout.
        evaluate: Returns a network's accuracy on the validation images, in [0, 1]; None if there are none.
        engine: Device and precision.
        mask: Weights to hold at zero, by parameter name: False or 0 where pruned.
        checkpoint: Where state is saved; the caller clears it once the result is stored.

    Raises:
        ConfigError: The recipe is invalid, or selects the best epoch without validation images.
        TrialError: The training diverged, or the mask does not fit the network.
        StorageError: The checkpoint could not be written.
    """
    validate(recipe)
    state = TrainingState(model, recipe, engine)
    captured, masked = Captured.of(state, engine), masked_weights(model, mask or {})
    epochs = EpochRunner(state, views, objective, recipe, seed, evaluate, engine, masked, captured)
    progress = TrainingProgress(checkpoint, _identity(model, recipe, seed, engine, len(views)), state)
    part = progress.resume()
    reports = progress.reports
    yield from tuple(reports)
    for epoch in range(len(reports), recipe.epochs):
        reports.append(epochs.run(epoch, part, progress.keep))
        part, saved = BEGIN, progress.keep()
        try:
            yield reports[-1]
        except GeneratorExit:
            if not saved:
                progress.save()
            raise
    state.finish()


def _identity(model: nn.Module, recipe: Recipe, seed: int, engine: Engine, images: int) -> str:
    state = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
    what = {"recipe": recipe, "seed": seed, "precision": engine.precision, "images": images, "shapes": shapes}
    return digest(keyed(what))
