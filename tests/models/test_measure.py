"""Sizes are counted as documented; measuring changes nothing."""

import pytest
import torch
from torch import nn

from pdsearch.models import build, count_flops, count_params, latency


def test_params_are_all_parameters_and_no_buffers() -> None:
    assert count_params(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))) == 6 + 2 + 4


def test_flops_count_a_multiply_add_as_two() -> None:
    assert count_flops(nn.Conv2d(3, 4, 3, padding=1), (3, 8, 8)) == 2 * 3 * 4 * 9 * 64


def test_flops_of_attention_are_counted_though_torch_fuses_it() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    projections = 2 * 8 * (3 * 16 * 16 + 16 * 16 + 2 * 16 * 32)
    assert count_flops(layer, (8, 16)) >= projections


def test_flops_of_a_known_network() -> None:
    model = build("resnet56", num_classes=10, input_shape=(3, 32, 32), seed=0)
    # 125.49 million multiply-adds without shortcuts (He et al.'s form), 0.26 million in the two projections.
    assert count_flops(model, (3, 32, 32)) == pytest.approx(2 * 125.75e6, rel=1e-3)


def test_measuring_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4).eval())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_flops(model, (3, 8, 8))
    assert latency(model, (3, 8, 8), runs=3) > 0
    assert [module.training for module in model] == [True, True, False]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
