"""Features that a loss compares, and the matching of feature maps of different size."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn import functional

from pdsearch.distillation.registry import Outputs
from pdsearch.distillation.softmax import at_least_single
from pdsearch.errors import ConfigError, TrialError


def wanted(patterns: Iterable[str], available: Iterable[str]) -> tuple[str, ...]:
    """Return the features of a network that a loss requests, in the network's order.

    Args:
        patterns: Names or globs such as "stage*", as declared by a loss.
        available: Names of the network's features.

    Raises:
        ConfigError: A pattern matches nothing.
    """
    offered, asked = tuple(available), tuple(patterns)
    for pattern in asked:
        if not any(fnmatchcase(name, pattern) for name in offered):
            hint = f"it has: {', '.join(offered) or 'none'}"
            raise ConfigError(f"this loss needs features {pattern!r}, which the network lacks", hint=hint)
    return tuple(name for name in offered if any(fnmatchcase(name, pattern) for pattern in asked))


def check_shows_features(network: nn.Module, loss: str, *, section: str, named: bool = False) -> None:
    """Check that a network provides the features that a loss compares.

    Args:
        network: Must have a method `features`, and a module `classifier` that takes the pooled features.
        loss: Name of the loss, for the message.
        section: "teacher" or "student", for the message.
        named: The layers to compare are named, so that it need not.

    Raises:
        ConfigError: It lacks one of them.
    """
    if named or callable(getattr(network, "logits_and_features", None)):
        return
    if not callable(getattr(network, "features", None)) or not isinstance(
        getattr(network, "classifier", None), nn.Module
    ):
        what = f"{loss} compares features, and {type(network).__name__} shows none"
        hint = f"name its layers as distill.{section}_layers, or choose a loss on logits"
        raise ConfigError(what, where="distill.loss", hint=hint)


def stage_pairs(student: Outputs, teacher: Outputs) -> list[tuple[Tensor, Tensor]]:
    """Return the feature maps of both networks' stages, paired from the deepest backwards; ordered shallow to deep.

    Raises:
        TrialError: A network has no stage features.
    """
    ours, theirs = (
        [f for name, f in o.features.items() if name.startswith("stage")] for o in (student, teacher)
    )
    if not ours or not theirs:
        raise TrialError("this loss compares stages, and a network shows none")
    count = min(len(ours), len(theirs))
    return [(s, t.detach()) for s, t in zip(ours[-count:], theirs[-count:], strict=True)]


def pooled_pair(student: Outputs, teacher: Outputs) -> tuple[Tensor, Tensor]:
    """Return both networks' pooled features, (B, F) each, float32 or wider; the teacher's carry no gradient.

    Raises:
        TrialError: A network has no pooled features.
    """
    try:
        ours, theirs = student.features["pooled"], teacher.features["pooled"].detach()
    except KeyError as error:
        raise TrialError("this loss compares pooled features, and a network shows none") from error
    return at_least_single(ours.flatten(1)), at_least_single(theirs.flatten(1))


def same_size(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Average the larger of two maps (B, C, H, W) down to the height and width of the smaller."""
    size = (min(ours.shape[2], theirs.shape[2]), min(ours.shape[3], theirs.shape[3]))
    shrunk = (
        maps if maps.shape[2:] == size else functional.adaptive_avg_pool2d(maps, size)
        for maps in (ours, theirs)
    )
    first, second = (at_least_single(maps) for maps in shrunk)
    return first, second
