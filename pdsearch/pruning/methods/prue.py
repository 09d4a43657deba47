"""PrUE: keeps the weights on which the spread of the teacher's answers within a class depends."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning.gradients import probe
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches, pruning_method
from pdsearch.registry import NoParams


@pruning_method("prue", needs_data=True, at=("trained",))
def score_prue(
    model: nn.Module, batches: Batches, generator: Generator, params: NoParams
) -> dict[str, Tensor]:
    """Score weights by |w * dU/dw|, U the spread of the true class's probability around its class's mean.

    U = sum over images of |mean_c - p(x)[c]|, c the image's class, the means held constant. A large U is a
    teacher that is sure of some images of a class and not of others; keeping the weights it depends on
    enlarges the uncertainty that its soft labels carry. Batch normalisation uses the running statistics.

    When:
        Where the teacher's answers are what counts, not its accuracy: it is made for distillation.

    Cost:
        Twice forward and once back over 512 training images a round.

    Source:
        Wang, Chen, Kou, Shi, "PrUE: Distilling knowledge from sparse teacher networks", ECML PKDD 2022,
        arXiv 2207.00586, section 4; the spread as in the authors' code, over the images given here.
    """
    twin = probe(model)
    weights = prunable(twin)
    total = {name: weight.detach() * 0 for name, weight in weights.items()}
    means = _class_means(twin, batches)
    for confidence, labels in _confidences(twin, batches):
        with torch.enable_grad():
            spread = (means[labels] - confidence).abs().sum()
            gradients = torch.autograd.grad(spread, list(weights.values()), materialize_grads=True)
        for name, gradient in zip(weights, gradients, strict=True):
            total[name] += gradient
    return {name: (weights[name].detach() * gradient).abs() for name, gradient in total.items()}


def _confidences(twin: nn.Module, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the probability of each image's own class, (B,), with the labels."""
    for images, labels in batches:
        with torch.enable_grad():
            shares = torch.softmax(twin(images).float(), dim=1)  # (B, classes)
            own = shares.gather(1, labels[:, None]).squeeze(1)
        yield own, labels


def _class_means(twin: nn.Module, batches: Batches) -> Tensor:
    """Return the mean probability of the true class by class, (classes,); 0 for a class without images."""
    seen = [(confidence.detach(), labels) for confidence, labels in _confidences(twin, batches)]
    confidences = torch.cat([confidence for confidence, _ in seen])
    labels = torch.cat([labels for _, labels in seen])
    classes = int(labels.max()) + 1
    sums = torch.zeros(classes, dtype=confidences.dtype, device=confidences.device)
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return sums.index_add(0, labels, confidences) / counts
