"""Which images does a pruning method score with? As many of every class, the same for every trial of a teacher."""

import torch
from torch import Generator, Tensor

from pdsearch.data import Dataset
from pdsearch.pruning import Batches
from pdsearch.specs import TrialSpec, derive_seed
from pdsearch.stages.data import views
from pdsearch.stages.site import Site

__all__ = ["balanced", "scoring_batches", "smallest_batch"]

_BATCHES, _BATCH_SIZE = 4, 128


def scoring_batches(spec: TrialSpec, data: Dataset, site: Site) -> Batches:
    """Return four batches of 128 training images (fewer where there are fewer), not augmented.

    Each holds as many of every class as it can, as SNIP's and GraSP's authors draw them.
    """
    seen = views(data, augment="none", stream=0, site=site)
    random = Generator().manual_seed(derive_seed(spec.teacher.seed, "batches"))
    order = balanced(seen.labels.cpu(), random)[: _BATCHES * _BATCH_SIZE]
    return [(seen.batch(0, index), seen.labels[index]) for index in order.split(_BATCH_SIZE)]


def smallest_batch(data: Dataset) -> int:
    """Return how many images the smallest scoring batch has: one where one image is left over."""
    images = min(len(data.train), _BATCHES * _BATCH_SIZE)
    return images % _BATCH_SIZE or _BATCH_SIZE


def balanced(labels: Tensor, random: Generator) -> Tensor:
    """Return all images' numbers in a random order in which the classes take turns, int64 (N,).

    Any run of it has as many of every class, one more or less, for as long as all classes last.

    Args:
        labels: int64 (N,), on the CPU.
        random: The only source of randomness.
    """
    order = torch.randperm(len(labels), generator=random)
    turns = torch.zeros_like(order)
    for label in labels.unique():
        members = (labels[order] == label).nonzero().squeeze(1)
        turns[members] = torch.arange(len(members))
    return order[turns.argsort(stable=True)]
