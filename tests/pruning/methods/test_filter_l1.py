import pytest
import torch
from torch import Generator, nn

from pdsearch.pruning.methods.filter_l1 import score_filter_l1
from pdsearch.registry import NoParams


def test_a_channel_scores_the_size_of_its_weights_over_the_layer_s_mean() -> None:
    conv = nn.Conv2d(1, 2, (1, 2))
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[[1.0, -3.0]]], [[[0.5, 0.0]]]]))
    assert score_filter_l1(conv, (), Generator(), NoParams())["weight"].tolist() == pytest.approx(
        [4 / 2.25, 0.5 / 2.25]
    )


def test_layers_of_another_fan_in_or_scale_compete_alike() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(10, 50), nn.Linear(50, 50))
    scores = score_filter_l1(net, (), Generator(), NoParams())
    with torch.no_grad():
        net.get_parameter("1.weight").mul_(100)
    again = score_filter_l1(net, (), Generator(), NoParams())
    torch.testing.assert_close(again, scores)
    assert all(float(score.mean()) == pytest.approx(1) for score in scores.values())
