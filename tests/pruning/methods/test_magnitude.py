import torch
from torch import Generator, nn

from pdsearch.pruning.methods.magnitude import score_magnitude
from pdsearch.registry import NoParams


def test_a_weight_scores_its_absolute_value(net: nn.Module) -> None:
    scores = score_magnitude(net, (), Generator(), NoParams())
    assert list(scores) == ["0.weight", "3.weight", "7.weight"]
    assert all(torch.equal(score, net.get_parameter(name).detach().abs()) for name, score in scores.items())
