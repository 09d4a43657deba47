"""The plain loss is cross-entropy with the labels of the batch's own images."""

import pytest
import torch
from torch import Tensor, nn

from tests.training.objectives import hard_labels

LABELS = torch.tensor([2, 0, 1, 1, 2])
INDEX = torch.tensor([4, 3, 1])
LOGITS = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))


class Answers(nn.Module):
    """Answers the images themselves."""

    def forward(self, images: Tensor) -> Tensor:
        return images


def test_labels_are_looked_up_by_position() -> None:
    loss = hard_labels(LABELS)(Answers(), LOGITS, INDEX, 0)
    shares = LOGITS.log_softmax(1)
    expected = -(shares[0, 2] + shares[1, 1] + shares[2, 0]) / 3
    torch.testing.assert_close(loss, expected)
    assert torch.equal(hard_labels(LABELS)(Answers(), LOGITS, INDEX, 7), loss)


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    plain, smooth = (
        hard_labels(LABELS, label_smoothing=share)(Answers(), LOGITS, INDEX, 0) for share in (0.0, 0.3)
    )
    torch.testing.assert_close(smooth, 0.7 * plain - 0.3 * LOGITS.log_softmax(1).mean())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_loss_is_computed_in_full_precision(kind: torch.dtype) -> None:
    low = LOGITS.to(kind)
    loss = hard_labels(LABELS)(Answers(), low, INDEX, 0)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, hard_labels(LABELS)(Answers(), low.float(), INDEX, 0))
