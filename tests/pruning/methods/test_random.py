import torch
from torch import Generator, nn

from pdsearch.pruning.methods.random import score_random
from pdsearch.registry import NoParams


def test_scores_are_uniform_and_ignore_the_weights() -> None:
    net = nn.Linear(200, 100)
    first = score_random(net, (), Generator().manual_seed(0), NoParams())["weight"]
    nn.init.zeros_(net.weight)
    assert torch.equal(score_random(net, (), Generator().manual_seed(0), NoParams())["weight"], first)
    assert torch.histc(first, bins=10, min=0, max=1).sub(2000).abs().max() < 200
    assert float(first.max()) < 1


def test_another_seed_scores_otherwise(net: nn.Module) -> None:
    first = score_random(net, (), Generator().manual_seed(0), NoParams())
    second = score_random(net, (), Generator().manual_seed(1), NoParams())
    assert all(not torch.equal(first[name], second[name]) for name in first)
