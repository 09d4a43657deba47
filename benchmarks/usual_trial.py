"""A prune-then-distill trial as usually written: one function in plain torch, all the work for every trial.

The training loop is that of most repositories (`paper_style.py`), pruning that of `torch.nn.utils.prune`; networks,
images, split, recipes and rounds are those of the specification.
"""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import prune

from benchmarks.paper_style import PaperStyle, Pictures
from pdsearch.data import Dataset, prepare
from pdsearch.data.registry import sources
from pdsearch.pipeline.networks import blank
from pdsearch.specs import Recipe, TrialSpec

__all__ = ["rounds", "usual_trial"]

SHARE = 0.2
"""Of the weights left, pruned in each round; the geometric schedule of the paper."""


def usual_trial(spec: TrialSpec) -> Iterator[float]:
    """Train a teacher, prune it round by round, distill; yield the student's accuracy after each of its epochs."""
    data = prepare(sources.get(spec.data.source).read(spec.data), spec.data)
    teacher = _network(spec.teacher.model, data, spec.teacher.seed)
    _train(teacher, None, data, spec.teacher.recipe)
    if spec.prune is not None:
        method = {"magnitude": prune.L1Unstructured, "random": prune.RandomUnstructured}[spec.prune.method]
        weights = [(m, "weight") for m in teacher.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        for _ in range(rounds(spec.prune.ratio)):
            prune.global_unstructured(weights, pruning_method=method, amount=SHARE)
            _train(teacher, None, data, spec.prune.recipe)
    student = _network(spec.student.model, data, spec.distill.seed)
    params = dict(spec.distill.params)
    loop = _loop(student, teacher, data, spec.distill.recipe, params["temperature"], params["alpha"])
    for _ in range(spec.distill.recipe.epochs):
        yield loop.epoch()


def rounds(ratio: float) -> int:
    """Return how many rounds of a fifth lead nearest to a ratio: 2, 4 and 7 for 0.36, 0.59 and 0.79."""
    return min(range(1, 30), key=lambda n: abs(1 - (1 - SHARE) ** n - ratio))


def _train(network: nn.Module, teacher: nn.Module | None, data: Dataset, recipe: Recipe) -> None:
    loop = _loop(network, teacher, data, recipe)
    for _ in range(recipe.epochs):
        loop.epoch()


def _loop(
    network: nn.Module,
    teacher: nn.Module | None,
    data: Dataset,
    recipe: Recipe,
    temperature: float = 1.0,
    alpha: float = 0.0,
) -> PaperStyle:
    return PaperStyle(
        network,
        teacher,
        Pictures(data.train.images, data.train.labels, mean=data.mean, std=data.std),
        Pictures(data.val.images, data.val.labels, mean=data.mean, std=data.std),
        batch_size=recipe.batch_size,
        lr=recipe.lr,
        milestones=recipe.milestones,
        temperature=temperature,
        alpha=alpha,
    )


def _network(name: str, data: Dataset, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return blank(name, (), data, seed)
