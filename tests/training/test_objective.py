import pytest
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


CLASSES = torch.tensor([2, 0, 1, 1, 2])
POSITIONS = torch.tensor([4, 3, 1])
ANSWERS = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))


class Answers(nn.Module):
    """Answers the images themselves."""

    def forward(self, images: Tensor) -> Tensor:
        return images


def test_labels_are_looked_up_by_position() -> None:
    loss = hard_labels(CLASSES)(Answers(), ANSWERS, POSITIONS, 0)
    shares = ANSWERS.log_softmax(1)
    expected = -(shares[0, 2] + shares[1, 1] + shares[2, 0]) / 3
    torch.testing.assert_close(loss, expected)
    assert torch.equal(
        hard_labels(CLASSES)(Answers(), ANSWERS, POSITIONS, 7),
        loss,
    )


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    plain, smooth = (
        hard_labels(CLASSES, label_smoothing=share)(Answers(), ANSWERS, POSITIONS, 0) for share in (0.0, 0.3)
    )
    torch.testing.assert_close(smooth, 0.7 * plain - 0.3 * ANSWERS.log_softmax(1).mean())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_loss_is_computed_in_full_precision(kind: torch.dtype) -> None:
    low = ANSWERS.to(kind)
    loss = hard_labels(CLASSES)(Answers(), low, POSITIONS, 0)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, hard_labels(CLASSES)(Answers(), low.float(), POSITIONS, 0))
