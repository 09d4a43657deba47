import copy

import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import ConfigError, TrialError
from pdsearch.pruning import Mask, PruningMethod, prune_once
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams


def method_of(score: object) -> PruningMethod:
    return PruningMethod("test", score, NoParams, needs_data=False)  # type: ignore[arg-type]


def run(
    net: nn.Module, method: PruningMethod, sparsity: float, within: Mask | None = None, **more: object
) -> Mask:
    return prune_once(
        net,
        method=method,
        params=NoParams(),
        batches=(),
        generator=Generator().manual_seed(0),
        sparsity=sparsity,
        within=within,
        **more,  # type: ignore[arg-type]
    )


def in_place(model: nn.Module, *_: object) -> dict[str, Tensor]:
    return {name: weight.data.abs_() for name, weight in model.train().named_parameters()}


@pytest.mark.parametrize("method", [methods.get("magnitude"), method_of(in_place)])
def test_masks_every_prunable_weight_and_leaves_the_model(net: nn.Module, method: PruningMethod) -> None:
    before = copy.deepcopy(net.eval().state_dict())
    mask = run(net, method, 0.5)
    assert not net.training
    assert mask.total == 6 * 27 + 8 * 54 + 32
    assert mask.remaining == mask.total // 2
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_excluded_weights_do_not_count(net: nn.Module) -> None:
    mask = run(net, methods.get("magnitude"), 0.5, exclude=("7.*",))
    assert list(mask) == ["0.weight", "3.weight"]
    assert mask.sparsity == 0.5


@pytest.mark.parametrize("method", ["magnitude", "filter_l2"])
def test_a_weight_that_a_hook_makes_is_named(net: nn.Module, method: str) -> None:
    layer = net.get_submodule("3")
    raw = layer._parameters.pop("weight")
    layer.register_parameter("raw", raw)
    layer.register_forward_pre_hook(lambda module, _: setattr(module, "weight", module.raw * 2))
    layer.weight = raw * 2  # type: ignore[operator,assignment]
    with pytest.raises(ConfigError, match=r"3\.weight is no parameter: a hook .* from 3\.bias, 3\.raw"):
        run(net, methods.get(method), 0.5)
    assert "3.weight" not in run(net, methods.get("magnitude"), 0.5, exclude=("3.*",))


@pytest.mark.parametrize("name", ["synflow", "prue", "group_norm"])
def test_a_method_that_needs_images_is_not_called_without(net: nn.Module, name: str) -> None:
    with pytest.raises(TrialError, match=f"{name} needs images and was given none"):
        run(net, methods.get(name), 0.5)


@pytest.mark.parametrize("bad", [{}, {"0.weight": torch.ones(2)}])
def test_a_method_that_forgets_a_layer_fails_the_trial(net: nn.Module, bad: dict[str, Tensor]) -> None:
    with pytest.raises(TrialError, match=r"test (scores 0.weight with shape|has no score of 0.weight)"):
        run(net, method_of(lambda *_: bad), 0.5)
