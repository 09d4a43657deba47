import pytest
import torch
from torch import Tensor, nn

from pdsearch.pruning.channels.channel_selection import grouped
from pdsearch.pruning.channels.dependencies import Part


def test_a_channel_scores_the_mean_of_all_parts_over_the_tie_s_mean(net: nn.Module) -> None:
    worth = {
        ("0.weight", 0): torch.tensor([1.0, 2, 3, 4, 5, 6]),
        ("1.weight", 0): torch.zeros(6),
        ("3.weight", 1): torch.tensor([0.0, 0, 0, 0, 0, 21]),
        ("3.weight", 0): torch.ones(8),
        ("7.weight", 1): torch.arange(8.0),
    }

    def measure(part: Part) -> Tensor:
        return worth.pop((part.name, part.axis))

    scores = grouped(net, torch.zeros(1, 3, 6, 6), measure)
    assert not worth
    assert scores.keys() == {"0.weight", "3.weight"}
    assert scores["0.weight"].tolist() == pytest.approx([1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 27 / 7])
    assert scores["3.weight"].tolist() == pytest.approx([(1 + c) / 4.5 for c in range(8)])


def test_layers_that_share_channels_have_the_same_scores() -> None:
    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.classifier = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(12, 2)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.classifier((self.one(images) + self.two(images)).flatten(1))
            return logits

    def measure(part: Part) -> Tensor:
        return torch.arange(12.0) if part.name == "classifier.weight" else torch.zeros(3)

    scores = grouped(Added(), torch.zeros(1, 3, 2, 2), measure)
    # A flattened channel is read at its four positions: 0 to 3, 4 to 7, 8 to 11.
    assert scores["one.weight"].tolist() == pytest.approx([6 / 22, 1.0, 38 / 22])
    assert torch.equal(scores["one.weight"], scores["two.weight"])
