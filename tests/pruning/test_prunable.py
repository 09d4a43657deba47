import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.pruning import prunable, prune
from pdsearch.pruning.prunable import shares
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams


def test_conv_and_linear_weights_in_module_order(net: nn.Module) -> None:
    found = prunable(net)
    assert list(found) == ["0.weight", "3.weight", "7.weight"]
    assert found["0.weight"] is net.get_parameter("0.weight")


def test_a_bare_layer_has_a_weight() -> None:
    assert list(prunable(nn.Linear(2, 3))) == ["weight"]


def test_a_shared_weight_counts_once() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    assert list(prunable(net)) == ["0.weight"]


def test_exclude_takes_globs(net: nn.Module) -> None:
    assert list(prunable(net, ("7.*",))) == ["0.weight", "3.weight"]
    assert list(prunable(net, ("[03].weight",))) == ["7.weight"]


def test_a_pattern_without_a_match_is_a_typo(net: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"'clasifier.*' matches no prunable parameter") as caught:
        prunable(net, ("clasifier.*",))
    assert "3.weight" in str(caught.value)


def test_nothing_left_to_prune(net: nn.Module) -> None:
    with pytest.raises(ConfigError, match=r"nothing is left"):
        prunable(net, ("*",))
    with pytest.raises(ConfigError, match=r"nothing is left"):
        prunable(nn.ReLU())


def test_matrices_of_attention_and_recurrent_layers_are_prunable_on_demand() -> None:
    net = nn.Sequential(nn.LSTM(3, 4), nn.MultiheadAttention(4, 2), nn.LayerNorm(4), nn.Linear(4, 5))
    found = {
        weights: prune(
            net,
            method=methods.get("magnitude"),
            params=NoParams(),
            batches=(),
            generator=torch.Generator(),
            sparsity=0.5,
            weights=weights,
        )
        for weights in ("layers", "matrices")
    }
    assert [*found["layers"]] == ["1.out_proj.weight", "3.weight"]
    assert [*found["matrices"]] == [
        *("0.weight_ih_l0", "0.weight_hh_l0", "1.in_proj_weight", "1.out_proj.weight", "3.weight")
    ]
    assert found["matrices"].total - found["matrices"].remaining == found["matrices"].total // 2


def test_what_is_prunable_is_said_beside_what_is_not() -> None:
    net = nn.Sequential(
        nn.GRU(2, 2, bias=False), nn.Linear(6, 5), nn.Linear(5, 5, bias=False), nn.LayerNorm(8)
    )
    assert shares(net) == (
        "55 % of 100 weights are prunable; not 24 % in attention, recurrent and transposed layers"
        " (prune.weights: matrices), 21 % in biases, normalisation and others"
    )
    said = shares(net, ("2.*",), weights="matrices")
    assert said == (
        "54 % of 100 weights are prunable; not 25 % in prune.exclude, 21 % in biases, normalisation and others"
    )
