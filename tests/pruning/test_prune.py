import copy

import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning import Batches, Mask, PruningMethod, prune
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams


def channel_scores(
    _model: nn.Module, _batches: Batches, _generator: Generator, _params: NoParams
) -> dict[str, Tensor]:
    return {"0.weight": torch.arange(6.0), "3.weight": torch.arange(8.0) - 100, "7.weight": -torch.ones(4)}


def method_of(score: object, structured: bool = False) -> PruningMethod:
    return PruningMethod("test", score, NoParams, needs_data=False, structured=structured)  # type: ignore[arg-type]


def run(
    net: nn.Module, method: PruningMethod, sparsity: float, within: Mask | None = None, **more: object
) -> Mask:
    return prune(
        net,
        method=method,
        params=NoParams(),
        batches=(),
        generator=Generator().manual_seed(0),
        sparsity=sparsity,
        within=within,
        **more,  # type: ignore[arg-type]
    )


def test_masks_every_prunable_weight_and_leaves_the_model(net: nn.Module) -> None:
    before = copy.deepcopy(net.state_dict())
    mask = run(net, methods.get("magnitude"), 0.5)
    assert mask.total == 6 * 27 + 8 * 54 + 32
    assert mask.remaining == mask.total // 2
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_excluded_weights_do_not_count(net: nn.Module) -> None:
    mask = run(net, methods.get("magnitude"), 0.5, exclude=("7.*",))
    assert list(mask) == ["0.weight", "3.weight"]
    assert mask.sparsity == 0.5


def test_structured_scores_remove_whole_channels_but_never_classes(net: nn.Module) -> None:
    mask = run(net, method_of(channel_scores, structured=True), 0.5)
    rows = {name: keep.flatten(1).float().mean(1).tolist() for name, keep in mask.items()}
    assert rows["3.weight"] == [0.0] * 7 + [1.0]  # the best channel stays, though all of "0" scores higher
    assert rows["0.weight"] == [1.0] * 6
    assert rows["7.weight"] == [1.0] * 4


def test_structured_rounds_nest(net: nn.Module) -> None:
    method = method_of(channel_scores, structured=True)
    first = run(net, method, 0.3)
    second = run(net, method, 0.6, within=first)
    assert all(bool((second[name] <= first[name]).all()) for name in first)
    assert (
        int(second["0.weight"].flatten(1).any(1).sum() + second["3.weight"].flatten(1).any(1).sum()) == 14 - 8
    )


def test_structured_scope_layer_holds_in_each_layer(net: nn.Module) -> None:
    mask = run(net, method_of(channel_scores, structured=True), 0.5, scope="layer")
    assert [int(keep.flatten(1).any(1).sum()) for keep in mask.values()] == [3, 4, 4]


@pytest.mark.parametrize("bad", [{}, {"0.weight": torch.ones(2)}])
def test_a_method_that_forgets_a_layer_fails_the_trial(net: nn.Module, bad: dict[str, Tensor]) -> None:
    with pytest.raises(TrialError, match=r"test scores 0.weight with shape"):
        run(net, method_of(lambda *_: bad), 0.5)


def test_tied_channels_still_leave_one_in_each_layer(net: nn.Module) -> None:
    tied = {"0.weight": torch.ones(6), "3.weight": torch.ones(8), "7.weight": torch.ones(4)}
    mask = run(net, method_of(lambda *_: tied, structured=True), 12 / 14)
    assert [int(keep.flatten(1).any(1).sum()) for keep in mask.values()] == [1, 1, 4]
