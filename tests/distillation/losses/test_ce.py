import math

import pytest
import torch

from pdsearch.distillation import Outputs
from pdsearch.distillation.registry import losses
from pdsearch.registry import NoParams


def ce(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    outputs = Outputs(logits)
    return losses.get("ce").loss(outputs, outputs, targets, NoParams())


def test_is_the_mean_negative_log_probability_of_the_label() -> None:
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    assert float(ce(logits, torch.tensor([1, 0]))) == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)


def test_takes_probabilities_as_targets() -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([1, 0, 3])
    one_hot = torch.nn.functional.one_hot(labels, 4).double()
    assert float(ce(logits, one_hot)) == pytest.approx(float(ce(logits, labels)), rel=1e-12)
    mixed = 0.3 * one_hot + 0.7 * one_hot.roll(1, dims=1)
    by_hand = -(mixed * torch.log_softmax(logits, 1)).sum(1).mean()
    assert float(ce(logits, mixed)) == pytest.approx(float(by_hand), rel=1e-12)
