import copy
import multiprocessing

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pruning.channels import finding
from pdsearch.pruning.channels.dependencies import Part, Tie
from pdsearch.pruning.channels.finding import find_channels


class Added(nn.Module):
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


IMAGE = torch.zeros(1, 3, 2, 2)
ALL = (0, 1, 2, 3)


def test_what_is_added_is_tied_with_what_normalises_and_reads_it() -> None:
    first, second = find_channels(Added(), IMAGE).ties
    makes = [f"{layer}.{name}" for layer in ("one", "two", "norm") for name in ("weight", "bias")]
    reads = Part("next.weight", 1, ALL, ALL)
    stores = [Part(f"norm.running_{name}", 0, ALL, ALL) for name in ("mean", "var")]
    assert first == Tie("one.weight", 4, (*(Part(name, 0, ALL, ALL) for name in makes), reads, *stores))
    assert second.name == "next.weight"
    read = second.parts[-1]
    assert (read.name, read.axis) == ("classifier.weight", 1)
    assert dict(zip(read.positions, read.channels, strict=True)) == {at: at // 4 for at in range(16)}


def test_a_depthwise_convolution_is_part_of_its_tie_and_a_grouped_one_loses_groups() -> None:
    (depthwise,) = find_channels(Added(groups=4), IMAGE).ties
    assert {part.name.partition(".")[0] for part in depthwise.parts} == {
        "one", "two", "norm", "next", "classifier",
    }  # fmt: skip
    (grouped,) = find_channels(Added(groups=2), IMAGE).ties
    assert (grouped.name, grouped.size) == ("one.weight", 2)
    assert grouped.parts[0] == Part("one.weight", 0, ALL, (0, 0, 1, 1))


@pytest.mark.parametrize(("pattern", "names"), [("two.*", ["next.weight"]), ("classifier.*", ["one.weight"])])
def test_what_an_excluded_weight_makes_or_reads_stays(pattern: str, names: list[str]) -> None:
    found = find_channels(Added(), IMAGE, (pattern,))
    assert [tie.name for tie in found.ties] == names
    assert "prune.exclude names it" in " ".join(found.whole.values())


def test_where_all_is_excluded_the_refusal_names_it() -> None:
    with pytest.raises(ConfigError, match=r"no channel .* one.weight \(prune.exclude names it"):
        find_channels(Added(), IMAGE, ("next.*",))


def test_the_network_is_left_as_it_is_and_needs_no_gradients() -> None:
    net = Added().train().requires_grad_(False)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        assert find_channels(net, IMAGE) == find_channels(Added(), IMAGE)
    assert net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_traced_is_refused_with_its_reason() -> None:
    with pytest.raises(ConfigError, match=r"cannot be followed \(RuntimeError: .*expected.*3 channels"):
        find_channels(Added(), torch.zeros(1, 2, 2, 2))


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
    [(0, "SECONDS", 1, "1 s of computing"), (2**20, "MEMORY", 2**28, "0.25 GB of memory")],
)
def test_finding_channels_ends_at_a_bound_of_time_and_memory(
    grows: int, bound: str, value: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, bound, value)
    message = f"prune.method: Unending: .* takes more than {said}\n  -> .*single weights"
    with pytest.raises(ConfigError, match=message):
        find_channels(Unending(grows), IMAGE)
    assert multiprocessing.active_children() == []
