import pytest
import torch
from torch import nn

from pdsearch.distillation import Outputs, wanted
from pdsearch.distillation.features import check_shows_features, pooled_pair, same_size, stage_pairs
from pdsearch.errors import ConfigError, TrialError

OFFERED = ("stage1", "stage2", "stage3", "pooled")


def shown(*channels: int) -> Outputs:
    maps = {f"stage{n}": torch.full((2, c, 4, 4), float(c)) for n, c in enumerate(channels, start=1)}
    return Outputs(torch.zeros(2, 3), maps | {"pooled": torch.ones(2, 5)})


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), ()),
        (("pooled",), ("pooled",)),
        (("stage*",), OFFERED[:3]),
        (("pooled", "stage2"), ("stage2", "pooled")),
    ],
)
def test_patterns_name_features_in_the_network_s_order(
    patterns: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert wanted(patterns, OFFERED) == names


def test_a_feature_the_network_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs features 'stage9', which the network lacks"):
        wanted(("stage9",), OFFERED)


def test_stages_are_paired_from_the_deepest_back() -> None:
    pairs = stage_pairs(shown(1, 2, 3), shown(10, 20))
    assert [(s.shape[1], t.shape[1]) for s, t in pairs] == [(2, 10), (3, 20)]


def test_the_larger_map_is_averaged_down() -> None:
    large = torch.arange(16.0).view(1, 1, 4, 4)
    small = torch.zeros(1, 3, 2, 2)
    for first, second in ((large, small), (small, large)):
        assert [maps.shape[2:] for maps in same_size(first, second)] == [(2, 2), (2, 2)]
    assert same_size(large, small)[0].flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_networks_that_show_nothing_fail_the_trial() -> None:
    bare = Outputs(torch.zeros(2, 3))
    with pytest.raises(TrialError, match=r"compares stages"):
        stage_pairs(bare, shown(1))
    with pytest.raises(TrialError, match=r"compares pooled features"):
        pooled_pair(shown(1), bare)


class Shows(nn.Module):
    """A network that shows features."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 2)

    def features(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"pooled": images}


def test_a_network_without_features_is_refused_where_they_are_compared() -> None:
    check_shows_features(Shows(), "rkd", section="student")
    with pytest.raises(ConfigError, match="rkd compares features, and Linear shows none"):
        check_shows_features(nn.Linear(2, 2), "rkd", section="student")
    half = Shows()
    del half.classifier
    with pytest.raises(ConfigError, match="Shows shows none"):
        check_shows_features(half, "rkd", section="student")
