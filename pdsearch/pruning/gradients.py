"""Gradients for pruning methods, computed on a copy so that the model is unchanged."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from pdsearch.errors import TrialError
from pdsearch.models import copied, with_plain_weights
from pdsearch.pruning.prunable import prunable
from pdsearch.pruning.registry import Batches


def probe(model: nn.Module, *, batch_statistics: bool = False) -> nn.Module:
    """Return a copy of a model in which all weights are parameters with gradients and dropout is off.

    Args:
        model: Any network; not changed.
        batch_statistics: Normalise with each batch's own statistics, as papers that prune at initialisation
            do (running statistics are meaningless there); otherwise with the running ones, as in evaluation.
    """
    twin = with_plain_weights(copied(model)).requires_grad_(True)
    twin.eval()
    twin.zero_grad(set_to_none=True)
    for module in twin.modules():
        if isinstance(module, _BatchNorm):
            module.train(batch_statistics)
    return twin


def loss_gradients(
    twin: nn.Module,
    batches: Batches,
    *,
    temperature: float = 1.0,
    create_graph: bool = False,
    weights: Mapping[str, Tensor] | None = None,
) -> Iterator[tuple[float, dict[str, Tensor]]]:
    """Yield for each batch its share of all images and the gradient of its mean cross-entropy.

    Args:
        twin: A copy made by `probe`.
        batches: Images and labels.
        temperature: Divides the logits first.
        create_graph: Gradients can be differentiated again.
        weights: The parameters, by name, to differentiate by; None means all prunable ones.

    Raises:
        TrialError: There are no images.
    """
    images_in_all = sum(len(labels) for _, labels in batches)
    if images_in_all == 0:
        raise TrialError("this pruning method needs images and was given none")
    weights = prunable(twin) if weights is None else weights
    for images, labels in batches:
        with torch.enable_grad():
            loss = functional.cross_entropy(twin(images) / temperature, labels)
            gradients = torch.autograd.grad(
                loss, list(weights.values()), create_graph=create_graph, materialize_grads=True
            )
        yield len(labels) / images_in_all, dict(zip(weights, gradients, strict=True))


def averaged(
    gradients: Iterator[tuple[float, dict[str, Tensor]]],
    term: Callable[[str, Tensor], Tensor] = lambda _name, gradient: gradient,
) -> dict[str, Tensor]:
    """Return the mean over all batches, or of a term of each batch's gradients, by their shares of the images."""
    sums: dict[str, Tensor] = {}
    for share, found in gradients:
        for name, gradient in found.items():
            value = share * term(name, gradient)
            sums[name] = sums[name].add_(value) if name in sums else value
    return sums


def mean_loss(model: nn.Module, batches: Batches) -> float:
    """Return the mean cross-entropy of a network over all images, without gradients.

    Raises:
        TrialError: There are no images.
    """
    count = sum(len(labels) for _, labels in batches)
    if count == 0:
        raise TrialError("prune.scope: sensitivity needs validation images and was given none")
    with torch.no_grad():
        losses = (
            functional.cross_entropy(model(images), labels, reduction="sum") for images, labels in batches
        )
        return float(sum(loss.double() for loss in losses)) / count
