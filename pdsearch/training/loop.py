"""How is a network trained? Epoch by epoch, as a generator of reports that whoever consumes it may close."""

from collections.abc import Callable, Generator, Mapping

from torch import Tensor, nn

from pdsearch.specs import Recipe, digest, keyed
from pdsearch.training.captured import Captured
from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.engine import Engine
from pdsearch.training.epoch import Epochs, masked_weights
from pdsearch.training.evaluate import Batches
from pdsearch.training.objective import Objective
from pdsearch.training.optim import validate
from pdsearch.training.part import BEGIN
from pdsearch.training.progress import Progress
from pdsearch.training.report import EpochReport
from pdsearch.training.state import TrainingState

__all__ = ["Batches", "EpochReport", "Objective", "fit"]


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
    precision, never on torch's global generators, which are left as they were. When the generator has run to
    its end the network holds the weights that the recipe selects. It may be closed at any report, and then
    saves its progress; while it trains it saves after the first step at which the checkpoint's interval is over.
    With a checkpoint, a later call with equal arguments and a network of the same shape yields the stored reports
    again, then goes on where the progress was saved, in the middle of an epoch too, bit for bit.

    Args:
        model: The network.
        views: Training images.
        objective: The loss of a batch.
        recipe: Optimizer, schedule, epochs, selection.
        seed: Of the order of images (by epoch) and of dropout.
        evaluate: Accuracy of a network on the validation images, in [0, 1]; None where there are none.
        engine: Device, precision, threads.
        mask: Weights to hold at zero, by parameter name: False or 0 where pruned.
        checkpoint: Where progress is kept; the caller clears it once the result is stored.

    Raises:
        ConfigError: The recipe cannot be followed, or asks for the best of epochs that nothing was measured in.
        TrialError: The training diverged, or the mask does not fit the network.
        StorageError: Progress could not be written.
    """
    validate(recipe)
    state, graph = TrainingState(model, recipe, engine), engine.graph()
    captured = None if graph is None else Captured(graph, state, engine.device)
    masked = masked_weights(model, mask or {})
    epochs = Epochs(state, views, objective, recipe, seed, evaluate, engine, masked, captured)
    progress = Progress(checkpoint, _identity(model, recipe, seed, engine, len(views)), state)
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
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    what = {"recipe": recipe, "seed": seed, "precision": engine.precision, "images": images, "shapes": shapes}
    return digest(keyed(what))
