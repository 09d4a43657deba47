import copy
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning import Batches, Mask, PruningMethod, find_channels, kept_channels, prune, shrink
from pdsearch.registry import NoParams

IMAGE = torch.zeros(1, 3, 6, 6)
BATCHES = [(IMAGE, torch.zeros(1, dtype=torch.int64))]


def method(scores: dict[str, Tensor]) -> PruningMethod:
    """A structured method with these scores."""

    def score(_model: nn.Module, _batches: Batches, _generator: Generator, _params: NoParams) -> Any:
        return scores

    return PruningMethod("test", score, NoParams, structured=True)


RISING = {"0.weight": torch.arange(6.0), "3.weight": torch.arange(8.0) - 100, "7.weight": -torch.ones(4)}


def run(net: nn.Module, scores: dict[str, Tensor], sparsity: float, **more: Any) -> Mask:
    fixed: dict[str, Any] = {"params": NoParams(), "batches": BATCHES, "generator": Generator()}
    return prune(net, method=method(scores), sparsity=sparsity, **{**fixed, **more})


def kept(net: nn.Module, mask: Mask) -> list[tuple[int, ...]]:
    return list(kept_channels(mask, find_channels(net, IMAGE).ties).values())


def test_the_lowest_channels_go_and_never_classes_or_a_layer_s_best(net: nn.Module) -> None:
    mask = run(net, RISING, 0.5)
    # The best channel of "3" stays, though all of "0" scores higher.
    assert kept(net, mask) == [(0, 1, 2, 3, 4, 5), (7,)]
    assert mask["7.weight"].tolist() == [[False] * 7 + [True]] * 4


def test_the_sparsity_is_that_of_the_weights_that_are_gone(net: nn.Module) -> None:
    mask = run(net, RISING, 0.5)
    assert (mask.total, mask.remaining) == (6 * 27 + 8 * 54 + 32, 6 * 27 + 54 + 4)


def test_rounds_nest_and_count_what_is_gone(net: nn.Module) -> None:
    first = run(net, RISING, 0.3)
    assert kept(net, first) == [tuple(range(6)), (4, 5, 6, 7)]
    small = copy.deepcopy(net)
    channels = find_channels(net, IMAGE)
    shrink(small, channels, kept=kept_channels(first, channels.ties))
    # Scores are of the channels that are there: 4 to 7, of which 4 is now the best.
    fresh = {"0.weight": torch.arange(6.0), "3.weight": torch.tensor([9.0, -3.0, -2.0, -1.0])}
    second = run(small, fresh, 0.5, whole=net, within=first)
    assert kept(net, second) == [tuple(range(6)), (4,)]
    third = run(small, fresh, 0.57, whole=net, within=first)
    assert kept(net, third) == [(1, 2, 3, 4, 5), (4,)]


def test_scope_layer_holds_in_each_layer(net: nn.Module) -> None:
    assert [len(channels) for channels in kept(net, run(net, RISING, 0.5, scope="layer"))] == [3, 4]


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_equal_scores_still_leave_one_channel_in_each_layer(net: nn.Module, scope: str) -> None:
    same = {name: torch.ones_like(score) for name, score in RISING.items()}
    assert [len(c) for c in kept(net, run(net, same, 12 / 14, scope=scope))] == [1, 1]
    assert [len(c) for c in kept(net, run(net, same, 0.99, scope=scope))] == [1, 1]


def test_layers_without_scores_and_excluded_ones_stay_whole(net: nn.Module) -> None:
    mask = run(net, {"3.weight": RISING["3.weight"]}, 0.5)
    assert [len(channels) for channels in kept(net, mask)] == [6, 4]
    mask = run(net, RISING, 0.5, exclude=("7.*",))
    assert list(mask) == ["0.weight", "3.weight"]
    assert mask["0.weight"].flatten(1).any(1).tolist() == [False] * 3 + [True] * 3
    assert bool(mask["3.weight"].flatten(1).any(1).all())


class Added(nn.Module):
    """Two layers that make the same channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.classifier = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.one(images) + self.two(images)
        logits: Tensor = self.classifier(maps.mean((2, 3)))
        return logits


def test_tied_layers_speak_together_and_lose_the_same_channels() -> None:
    net = Added()
    scores = {"one.weight": torch.tensor([0.0, 3.0, 4.0]), "two.weight": torch.tensor([9.0, 2.0, 4.0])}
    mask = run(net, scores, 1 / 3)
    assert kept(net, mask) == [(0, 2)]
    assert torch.equal(mask["one.weight"], mask["two.weight"])
    alone = run(net, {"one.weight": scores["one.weight"]}, 1 / 3)
    assert kept(net, alone) == [(1, 2)]


@pytest.mark.parametrize(
    ("scores", "batches", "reason"),
    [
        ({"0.weight": torch.ones(2)}, BATCHES, r"test scores 0.weight with shape \(2,\), not \(6,\)"),
        ({"7.weight": torch.ones(4)}, BATCHES, "test finds no channels to prune"),
        ({"0.weight": torch.full((6,), torch.nan)}, BATCHES, "not finite"),
        (RISING, (), "test needs the shape of an image"),
    ],
)
def test_what_a_method_does_wrong_fails_the_trial(
    net: nn.Module, scores: dict[str, Tensor], batches: Batches, reason: str
) -> None:
    with pytest.raises(TrialError, match=reason):
        run(net, scores, 0.5, batches=batches)
