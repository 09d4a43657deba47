import torch
from torch import Generator, nn

from pdsearch.pruning.methods.filter_l1 import score_filter_l1
from pdsearch.registry import NoParams


def test_a_channel_scores_the_mean_size_of_its_weights() -> None:
    conv = nn.Conv2d(1, 2, (1, 2))
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[[1.0, -3.0]]], [[[0.5, 0.0]]]]))
    assert score_filter_l1(conv, (), Generator(), NoParams())["weight"].tolist() == [2.0, 0.25]


def test_orders_the_channels_of_a_layer_as_the_sum_does(net: nn.Module) -> None:
    scores = score_filter_l1(net, (), Generator(), NoParams())["3.weight"]
    sums = torch.tensor(
        [sum(abs(float(w)) for w in row.flatten()) for row in net.get_parameter("3.weight").detach()]
    )
    assert torch.equal(scores.argsort(), sums.argsort())
