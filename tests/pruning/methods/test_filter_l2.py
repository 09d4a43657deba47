import math

import torch
from torch import Generator, nn

from pdsearch.pruning.methods.filter_l2 import score_filter_l2
from pdsearch.registry import NoParams


def test_a_channel_scores_its_norm_over_the_layer_s_mean() -> None:
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, -4.0], [1.0, 1.0]]))
    scores = score_filter_l2(linear, (), Generator(), NoParams())["weight"]
    root = math.sqrt(2)
    torch.testing.assert_close(scores, torch.tensor([5.0, root]) / ((5 + root) / 2))
