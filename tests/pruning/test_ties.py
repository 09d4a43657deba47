import copy

import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.pruning.channels.dependencies import LayerChannels, Tie, find_ties, follow


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
    first, second = find_ties(Added(), IMAGE)
    assert first == Tie(
        "one.weight",
        4,
        (
            LayerChannels("one", True, ALL, ALL),
            LayerChannels("two", True, ALL, ALL),
            LayerChannels("norm", True, ALL, ALL),
            LayerChannels("next", False, ALL, ALL),
        ),
    )
    assert second.name == "next.weight"
    read = second.parts[-1]
    assert (read.layer, read.outputs) == ("classifier", False)
    assert dict(zip(read.positions, read.channels, strict=True)) == {at: at // 4 for at in range(16)}


def test_a_depthwise_convolution_is_part_of_its_tie_and_a_grouped_one_keeps_its_channels() -> None:
    (depthwise,) = find_ties(Added(groups=4), IMAGE)
    assert [part.layer for part in depthwise.parts] == ["one", "two", "norm", "next", "classifier"]
    assert find_ties(Added(groups=2), IMAGE) == ()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("two.*", ["next.weight"]), ("classifier.*", ["one.weight"]), ("next.*", [])],
)
def test_what_an_excluded_weight_makes_or_reads_stays(pattern: str, names: list[str]) -> None:
    assert [tie.name for tie in find_ties(Added(), IMAGE, (pattern,))] == names


def test_the_network_is_left_as_it_is_and_needs_no_gradients() -> None:
    net = Added().train().requires_grad_(False)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        assert find_ties(net, IMAGE) == find_ties(Added(), IMAGE)
    assert net.training
    assert not any(p.requires_grad for p in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_traced_is_refused_with_its_reason() -> None:
    with pytest.raises(ConfigError, match=r"cannot be followed \(RuntimeError: .*expected.*3 channels"):
        follow(Added(), torch.zeros(1, 2, 2, 2))
