import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning.methods.bn_scale import score_bn_scale
from pdsearch.registry import NoParams


class Crossed(nn.Module):
    """Layers whose order of definition is not their order of use."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_b, self.norm_a = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.conv_a, self.conv_b, self.conv_c = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.classifier = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.norm_a(self.conv_a(images)))
        maps = torch.relu(self.norm_b(self.conv_b(maps)))
        logits: Tensor = self.classifier((maps + self.conv_c(maps)).mean((2, 3)))
        return logits


def batches() -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.randn(2, 3, 4, 4, generator=Generator().manual_seed(0)), torch.zeros(2, dtype=torch.int64))
    ]


def test_a_channel_scores_the_scale_of_the_normalisation_that_reads_it() -> None:
    net = Crossed()
    with torch.no_grad():
        net.norm_a.weight.copy_(torch.tensor([1.0, -2.0, 3.0, 0.0]))
        net.norm_b.weight.copy_(torch.tensor([-5.0, 6.0, 7.0, 8.0]))
    scores = score_bn_scale(net, batches(), Generator(), NoParams())
    assert {name: score.tolist() for name, score in scores.items()} == {
        "conv_a.weight": [1.0, 2.0, 3.0, 0.0],
        "conv_b.weight": [5.0, 6.0, 7.0, 8.0],
    }


def test_a_model_without_normalisation_fails_the_trial() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(TrialError, match=r"no layer of this model is followed"):
        score_bn_scale(net, batches(), Generator(), NoParams())
    with pytest.raises(TrialError, match=r"needs an image"):
        score_bn_scale(Crossed(), (), Generator(), NoParams())
