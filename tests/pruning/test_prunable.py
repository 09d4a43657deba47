import pytest
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.pruning import prunable


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
