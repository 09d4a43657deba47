"""How is a network trained? Epoch by epoch, as a generator of reports that whoever consumes it may close."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence

import torch
from torch import Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.specs import Recipe, derive_seed, digest, keyed
from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.engine import Engine
from pdsearch.training.evaluate import Batches
from pdsearch.training.objective import Objective
from pdsearch.training.optim import learning_rate, validate
from pdsearch.training.report import EpochReport
from pdsearch.training.seeding import reproducible
from pdsearch.training.state import TrainingState

__all__ = ["Batches", "EpochReport", "Objective", "fit"]


def fit(
    model: nn.Module,
    *,
    views: Batches,
    objective: Objective,
    recipe: Recipe,
    seed: int,
    evaluate: Callable[[nn.Module], float],
    engine: Engine,
    mask: Mapping[str, Tensor] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Generator[EpochReport, None, None]:
    """Train a network in place; yield a report after each epoch.

    The result depends on the network, the views, the objective, the recipe, the seed, the mask and the
    precision, never on torch's global generators, which are left as they were. When the generator has run to
    its end the network holds the weights that the recipe selects. It may be closed at any report, and then
    saves its progress. With a checkpoint, a later call with equal arguments and a network of the same shape
    yields the stored reports again, then goes on where the progress was saved, bit for bit.

    Args:
        model: The network.
        views: Training images.
        objective: The loss of a batch.
        recipe: Optimizer, schedule, epochs, selection.
        seed: Of the order of images (by epoch) and of dropout.
        evaluate: Accuracy of a network on the validation images, in [0, 1].
        engine: Device, precision, threads.
        mask: Weights to hold at zero, by parameter name: False or 0 where pruned.
        checkpoint: Where progress is kept; the caller clears it once the result is stored.

    Raises:
        ConfigError: The recipe cannot be followed.
        TrialError: The training diverged, or the mask does not fit the network.
        StorageError: Progress could not be written.
    """
    validate(recipe)
    state = TrainingState(model, recipe, engine)
    masked = _apply(mask or {}, model)
    identity = _identity(model, recipe, seed, engine, len(views))
    reports = _resume(checkpoint, identity, state)
    yield from tuple(reports)
    for epoch in range(len(reports), recipe.epochs):
        start = time.perf_counter()
        with reproducible(derive_seed(seed, "epoch", epoch), device=engine.device, threads=engine.threads):
            loss, lr = _train_epoch(state, views, objective, recipe, seed, epoch, engine, masked)
            if not state.finite():
                raise TrialError(f"diverged in epoch {epoch + 1} of {recipe.epochs}: a weight is not finite")
            value = evaluate(model)
        report = EpochReport(epoch + 1, recipe.epochs, loss, value, lr, time.perf_counter() - start)
        reports.append(report)
        state.consider(value)
        saved = checkpoint is not None and checkpoint.due() and _save(checkpoint, identity, state, reports)
        try:
            yield report
        except GeneratorExit:
            if checkpoint is not None and not saved:
                _save(checkpoint, identity, state, reports)
            raise
    state.finish()


def _save(checkpoint: Checkpoint, identity: str, state: TrainingState, reports: list[EpochReport]) -> bool:
    stored = [report.to_json() for report in reports]
    checkpoint.save(identity, state.tensors(), {"state": state.meta(), "reports": list(stored)})
    return True


def _identity(model: nn.Module, recipe: Recipe, seed: int, engine: Engine, images: int) -> str:
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    what = {"recipe": recipe, "seed": seed, "precision": engine.precision, "images": images, "shapes": shapes}
    return digest(keyed(what))


def _resume(checkpoint: Checkpoint | None, identity: str, state: TrainingState) -> list[EpochReport]:
    stored = checkpoint.load(identity) if checkpoint is not None else None
    if stored is None:
        return []
    tensors, meta = stored
    state.restore(tensors, meta["state"])
    return [EpochReport.from_json(report) for report in meta["reports"]]


def _apply(mask: Mapping[str, Tensor], model: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
    """Zero the masked weights; return each masked parameter with its mask as numbers."""
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


def _train_epoch(
    state: TrainingState,
    views: Batches,
    objective: Objective,
    recipe: Recipe,
    seed: int,
    epoch: int,
    engine: Engine,
    masked: Sequence[tuple[nn.Parameter, Tensor]],
) -> tuple[float, float]:
    state.model.train()
    batches = _batches(len(views), recipe.batch_size, derive_seed(seed, "order", epoch), engine.device)
    # Summed on the device: asking for each step's loss would make a GPU wait at every step.
    total = torch.zeros((), dtype=torch.float64, device=engine.device)
    lr = recipe.lr
    for step, index in enumerate(batches):
        lr = learning_rate(recipe, epoch, step, len(batches))
        images = engine.images(views.batch(epoch, index))
        with engine.autocast():
            loss = objective(state.model, images, index, epoch)
        _step(state, loss, lr, masked)
        total += loss.detach() * len(index)
    return float(total) / len(views), lr


def _batches(images: int, size: int, seed: int, device: str) -> list[Tensor]:
    order = torch.randperm(images, generator=torch.Generator().manual_seed(seed)).to(device)
    batches = list(torch.split(order, size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        # Batch normalisation has no statistics of a single image.
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _step(
    state: TrainingState, loss: Tensor, lr: float, masked: Sequence[tuple[nn.Parameter, Tensor]]
) -> None:
    optimizer, scaler = state.optimizer, state.scaler
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss if scaler is None else scaler.scale(loss))
    # A weight that starts at zero, and whose gradient and momentum are always zero, stays exactly zero.
    for parameter, kept in masked:
        if parameter.grad is not None:
            parameter.grad.mul_(kept)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
