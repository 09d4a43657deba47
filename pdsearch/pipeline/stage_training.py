"""Training of a stage's network: the training loop with checkpoints under the artifact's key."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager

from torch import nn

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.data.dataset.views import Views
from pdsearch.errors import TrialError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.networks import validated
from pdsearch.protocol import Progress
from pdsearch.pruning import Mask
from pdsearch.specs import Json, Recipe, TrialSpec, derive_seed
from pdsearch.training.checkpoint import Checkpoint, EpochReport
from pdsearch.training.fit import Objective, fit, towards


class Fitting:
    """One training of one network, counted under a stage, for the artifact of a key, which names its checkpoint."""

    def __init__(self, spec: TrialSpec, data: Dataset, site: WorkerContext, *, stage: str, key: str) -> None:
        self.spec, self.data, self.site, self.stage, self.key = spec, data, site, stage, key

    def run(
        self,
        model: nn.Module,
        *,
        seen: Views,
        objective: Objective,
        recipe: Recipe,
        seed: int,
        mask: Mask | None = None,
    ) -> Generator[EpochReport, None, None]:
        """Train in place and yield each epoch; an interrupted training resumes from its checkpoint.

        Args:
            model: The network.
            seen: The training views.
            objective: The loss.
            recipe: How it is trained.
            seed: Seed of the order of images.
            mask: Weights stay zero where it is False.
        """
        site, precision = self.site, self.spec.precision
        checkpoint = Checkpoint(site.progress / self.key, interval_s=site.checkpoint_s)
        epochs = fit(
            model,
            views=seen,
            objective=objective,
            recipe=recipe,
            seed=seed,
            evaluate=lambda network: validated(network, self.data, site, precision),
            engine=site.engine(precision),
            mask=mask,
            checkpoint=checkpoint,
        )
        # Closed by the garbage collector, the generator could not report that progress was not saved.
        with closing(epochs), self._named():
            for report in epochs:
                site.account.trained(self.stage)
                yield report

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Add the network's name to an error that ends its training."""
        spec, whose = (
            self.spec,
            "student" if self.stage == "distill" else f"teacher {self.spec.teacher.model}",
        )
        try:
            yield
        except TrialError as error:
            pruned = f", pruned by {spec.prune.method}" if self.stage == "prune" and spec.prune else ""
            raise TrialError(error.what, where=error.where or whose + pruned, hint=error.hint) from error


def fit_teacher(
    fitting: Fitting, model: nn.Module, *, note: str, recipe: Recipe, seed: int, mask: Mask | None = None
) -> Generator[Progress, None, dict[str, Json]]:
    """Train a teacher on the labels of its views, dense or masked, and return its metadata."""
    data, site = fitting.data, fitting.site
    stream = derive_seed(seed, "views")
    seen = views(data, augment=fitting.spec.data.augment, stream=stream, site=site)
    reports = []
    objective = towards(seen.targets, label_smoothing=recipe.label_smoothing)
    training = fitting.run(model, seen=seen, objective=objective, recipe=recipe, seed=seed, mask=mask)
    with closing(training):
        for report in training:
            reports.append(report)
            yield Progress(fitting.stage, note, report.epoch, report.epochs, report.val_accuracy)
    return {
        "val_accuracy": achieved((report.val_accuracy for report in reports), recipe),
        "epochs": len(reports),
    }


def achieved(accuracies: Iterable[float | None], recipe: Recipe) -> float | None:
    """Return the validation accuracy of the epoch whose weights are kept; None where none was measured."""
    found = [accuracy for accuracy in accuracies if accuracy is not None]
    if not found:
        return None
    return max(found) if recipe.select == "best_val" else found[-1]
