"""Targets are class indices or probabilities, and may change with the epoch."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from pdsearch.training import towards
from tests.training.objectives import hard_labels

LABELS = torch.tensor([0, 2, 1, 2])
LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
INDEX = torch.tensor([3, 0])


class Known(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


def test_hard_labels_are_those_of_the_batch() -> None:
    loss = hard_labels(LABELS, label_smoothing=0.1)(Known(), LOGITS[INDEX], INDEX, 5)
    assert loss == cross_entropy(LOGITS[INDEX], LABELS[INDEX], label_smoothing=0.1)


def test_targets_are_asked_for_by_epoch_and_index() -> None:
    def targets(epoch: int, index: Tensor) -> Tensor:
        return (LABELS[index] + epoch) % 3

    assert towards(targets)(Known(), LOGITS[INDEX], INDEX, 1) == cross_entropy(
        LOGITS[INDEX], (LABELS[INDEX] + 1) % 3
    )


def test_probabilities_are_smoothed_like_labels() -> None:
    hard = one_hot(LABELS, 3).float()
    ours = towards(lambda _, index: hard[index], label_smoothing=0.2)(Known(), LOGITS[INDEX], INDEX, 0)
    torch.testing.assert_close(
        ours, hard_labels(LABELS, label_smoothing=0.2)(Known(), LOGITS[INDEX], INDEX, 0)
    )
