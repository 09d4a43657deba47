"""Which channels depend on which, and scores of channels."""

import copy
import multiprocessing
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.errors import ConfigError, TrialError
from pdsearch.models import bounded
from pdsearch.pruning import Batches, Mask, PruningMethod, find_channels, kept_channels, prune_once, shrink
from pdsearch.pruning.channels.dependencies import Part, Tie
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
    return prune_once(net, method=method(scores), sparsity=sparsity, **{**fixed, **more})


def kept(net: nn.Module, mask: Mask) -> list[tuple[int, ...]]:
    return list(kept_channels(mask, find_channels(net, IMAGE).ties).values())


def test_the_lowest_channels_go_and_never_classes_or_a_layer_s_best(net: nn.Module) -> None:
    mask = run(net, RISING, 0.5)
    # The best channel of "3" stays, though all of "0" scores higher.
    assert kept(net, mask) == [(0, 1, 2, 3, 4, 5), (7,)]
    assert mask["7.weight"].tolist() == [[False] * 7 + [True]] * 4
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


@pytest.mark.parametrize(
    ("sparsity", "multiple", "expected"),
    [(0.3, 3, [6, 6]), (0.5, 4, [6, 4]), (0.57, 4, [6, 4]), (0.75, 2, [2, 2]), (0.75, 100, [6, 8])],
)
def test_what_is_left_of_a_layer_is_a_multiple_or_all_of_it(
    net: nn.Module, sparsity: float, multiple: int, expected: list[int]
) -> None:
    mask = run(net, RISING, sparsity, round_to=multiple)
    assert [len(channels) for channels in kept(net, mask)] == expected
    best = [tuple(range(size - count, size)) for size, count in zip((6, 8), expected, strict=True)]
    assert kept(net, mask) == best


def test_later_rounds_take_no_channel_back_to_make_a_multiple(net: nn.Module) -> None:
    first = run(net, RISING, 0.3, round_to=3)
    small, channels = copy.deepcopy(net), find_channels(net, IMAGE)
    shrink(small, channels, kept=kept_channels(first, channels.ties))
    fresh = {"0.weight": torch.arange(6.0), "3.weight": torch.arange(6.0) - 9}
    second = run(small, fresh, 0.6, whole=net, within=first, round_to=3)
    assert [len(channels) for channels in kept(net, second)] == [6, 3]
    assert {*kept(net, second)[1]} < {*kept(net, first)[1]}


@pytest.mark.parametrize(
    ("scores", "batches", "reason"),
    [
        ({"0.weight": torch.ones(2)}, BATCHES, r"test scores 0.weight with shape \(2,\), not \(6,\)"),
        ({"7.weight": torch.ones(4)}, BATCHES, "test finds no channels to prune"),
        ({"0.weight": torch.full((6,), torch.nan)}, BATCHES, "not finite"),
        (RISING, (), "test needs images and was given none"),
    ],
)
def test_what_a_method_does_wrong_fails_the_trial(
    net: nn.Module, scores: dict[str, Tensor], batches: Batches, reason: str
) -> None:
    with pytest.raises(TrialError, match=reason):
        run(net, scores, 0.5, batches=batches)


class TiedSum(nn.Module):
    """Two layers whose outputs are added, a flattened image, a grouped convolution beside."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.next = nn.Conv2d(4, 4, 1, groups=groups)
        self.classifier = nn.Linear(4 * 2 * 2, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.norm(self.one(images) + self.two(images)))
        logits: Tensor = self.classifier(self.next(maps).flatten(1))
        return logits


SMALL_IMAGE = torch.zeros(1, 3, 2, 2)
ALL = (0, 1, 2, 3)


def test_what_is_added_is_tied_with_what_normalises_and_reads_it() -> None:
    first, second = find_channels(TiedSum(), SMALL_IMAGE).ties
    makes = [f"{layer}.{name}" for layer in ("one", "two", "norm") for name in ("weight", "bias")]
    reads = Part("next.weight", 1, ALL, ALL)
    stores = [Part(f"norm.running_{name}", 0, ALL, ALL) for name in ("mean", "var")]
    assert first == Tie("one.weight", 4, (*(Part(name, 0, ALL, ALL) for name in makes), reads, *stores))
    assert second.name == "next.weight"
    read = second.parts[-1]
    assert (read.name, read.axis) == ("classifier.weight", 1)
    assert dict(zip(read.positions, read.channels, strict=True)) == {at: at // 4 for at in range(16)}


def test_tied_layers_speak_together_and_lose_the_same_channels() -> None:
    net, batches = TiedSum(), [(SMALL_IMAGE, torch.zeros(1, dtype=torch.int64))]
    one, two = torch.tensor([0.0, 3.0, 4.0, 5.0]), torch.tensor([9.0, 2.0, 4.0, 5.0])
    for scores, left in (
        ({"one.weight": one, "two.weight": two}, (0, 2, 3)),
        ({"one.weight": one}, (1, 2, 3)),
    ):
        mask = run(net, scores, 1 / 4, batches=batches)
        assert kept_channels(mask, find_channels(net, SMALL_IMAGE).ties)["one.weight"] == left
        assert torch.equal(mask["one.weight"], mask["two.weight"])


def test_a_depthwise_convolution_is_part_of_its_tie_and_a_grouped_one_loses_groups() -> None:
    (depthwise,) = find_channels(TiedSum(groups=4), SMALL_IMAGE).ties
    assert {part.name.partition(".")[0] for part in depthwise.parts} == {
        "one", "two", "norm", "next", "classifier",
    }  # fmt: skip
    (grouped,) = find_channels(TiedSum(groups=2), SMALL_IMAGE).ties
    assert (grouped.name, grouped.size) == ("one.weight", 2)
    assert grouped.parts[0] == Part("one.weight", 0, ALL, (0, 0, 1, 1))


@pytest.mark.parametrize(("pattern", "names"), [("two.*", ["next.weight"]), ("classifier.*", ["one.weight"])])
def test_what_an_excluded_weight_makes_or_reads_stays(pattern: str, names: list[str]) -> None:
    found = find_channels(TiedSum(), SMALL_IMAGE, (pattern,))
    assert [tie.name for tie in found.ties] == names
    assert "prune.exclude names it" in " ".join(found.whole.values())


def test_where_all_is_excluded_the_refusal_names_it() -> None:
    with pytest.raises(ConfigError, match=r"no channel .* one.weight \(prune.exclude names it"):
        find_channels(TiedSum(), SMALL_IMAGE, ("next.*",))


def test_the_network_is_left_as_it_is_and_needs_no_gradients() -> None:
    net = TiedSum().train().requires_grad_(False)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        assert find_channels(net, SMALL_IMAGE) == find_channels(TiedSum(), SMALL_IMAGE)
    assert net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_traced_is_refused_with_its_reason() -> None:
    with pytest.raises(ConfigError, match=r"cannot be followed \(RuntimeError: .*expected.*3 channels"):
        find_channels(TiedSum(), torch.zeros(1, 2, 2, 2))


class Choosing(TiedSum):
    """A network that leaves a layer out for dark images, or reads the positions of the positive values."""

    def __init__(self, skips: bool) -> None:
        super().__init__()
        self.skips = skips

    def forward(self, images: Tensor) -> Tensor:
        if self.skips and not images.any():
            return self.classifier(self.one(images).flatten(1))  # type: ignore[no-any-return]
        count = (images > 0).nonzero().flatten().view(-1, 1).sum()
        return super().forward(images) + count


def test_a_network_that_chooses_its_layers_by_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^prune\.method: two\.weight is read for some images and not for"):
        find_channels(Choosing(skips=True), SMALL_IMAGE)


def test_an_operation_on_no_position_at_all_is_followed() -> None:
    assert (
        find_channels(Choosing(skips=False), SMALL_IMAGE).ties == find_channels(TiedSum(), SMALL_IMAGE).ties
    )


class Unending(nn.Module):
    """A network whose code comes to no end once it has fewer channels, and holds more and more on its way."""

    def __init__(self, grows: int) -> None:
        super().__init__()
        self.stem, self.classifier, self.grows = nn.Conv2d(3, 8, 1), nn.Linear(8, 5), grows

    def forward(self, images: Tensor) -> Tensor:
        maps, held = self.stem(images).mean((2, 3)), []
        while maps.shape[1] < 8:
            held.append(np.ones(self.grows))
        logits: Tensor = self.classifier(maps)
        return logits


@pytest.mark.parametrize(
    ("grows", "bound", "value", "said"),
    [(0, "SECONDS", 1, "(1 s of computing|5 s)"), (2**20, "MEMORY", 2**28, "0.25 GB of memory")],
)
def test_finding_channels_ends_at_a_bound_of_time_and_memory(
    grows: int, bound: str, value: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, bound, value)
    message = f"prune.method: Unending: .* takes more than {said}\n  -> .*single weights"
    with pytest.raises(ConfigError, match=message):
        find_channels(Unending(grows), SMALL_IMAGE)
    assert multiprocessing.active_children() == []
