"""Losses by name, what they compare, and what is refused of them."""

import pytest
import torch
from torch import Tensor, nn

from pdsearch.distillation import DistillationLoss, Outputs, teach, wanted
from pdsearch.distillation.compared_outputs import (
    check_shows_features,
    pooled_pair,
    same_size,
    stage_pairs,
    standardised,
)
from pdsearch.distillation.registry import losses
from pdsearch.errors import ConfigError, TrialError
from pdsearch.registry import NoParams
from tests.own_code import Author


def test_a_loss_of_one_s_own_declares_itself_in_attributes(author: Author) -> None:
    module = author.write()
    squared, alone = (losses.get(f"{module}:{name}") for name in ("squared", "alone"))
    assert squared.params().weight == 1.0
    assert (squared.needs_teacher, squared.features, squared.adapter) == (True, (), None)
    assert (alone.params, alone.needs_teacher) == (NoParams, False)
    assert squared.name not in losses.names()


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ("short", "is no loss: too many positional arguments"),
        ("undeclared", r"undeclared\.params is no dataclass"),
        ("number", "is no function, but a int"),
    ],
)
def test_what_is_no_loss_is_refused(author: Author, attribute: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        losses.get(f"{author.write()}:{attribute}")


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


def test_standardised_rows_follow_the_official_code() -> None:
    z = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = (z - z.mean(dim=-1, keepdim=True)) / (1e-7 + z.std(dim=-1, keepdim=True))
    torch.testing.assert_close(standardised(z), expected, rtol=1e-12, atol=0)


def test_equal_logits_standardise_to_zero_with_a_finite_gradient() -> None:
    z = torch.full((2, 3), 5.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(standardised(z).square().sum(), z)
    assert torch.equal(standardised(z), torch.zeros(2, 3))
    assert bool(torch.isfinite(gradient).all())


OURS, THEIRS = Outputs(torch.tensor([[1.0, 2.0]])), Outputs(torch.tensor([[3.0, 5.0]]))
LABEL, INDEX = torch.tensor([0]), torch.tensor([7])


class Doubled(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs, index: Tensor) -> tuple[Outputs, Outputs]:
        return Outputs(2 * student.logits + index), teacher


def gap(student: Outputs, teacher: Outputs, _targets: Tensor, _params: NoParams) -> Tensor:
    return (teacher.logits - student.logits).sum()


def test_the_loss_sees_what_the_adapter_returns() -> None:
    entry = DistillationLoss("gap", gap, NoParams, adapter=lambda *_: Doubled())
    value = teach(entry, OURS, THEIRS, LABEL, params=NoParams(), adapter=Doubled(), index=INDEX)
    assert float(value) == (3 - 9) + (5 - 11)


def test_what_is_missing_fails_the_trial() -> None:
    entry = DistillationLoss("gap", gap, NoParams, adapter=lambda *_: Doubled())
    with pytest.raises(TrialError, match=r"gap needs a teacher"):
        teach(entry, OURS, None, LABEL, params=NoParams())
    for adapter, index in ((None, INDEX), (Doubled(), None)):
        with pytest.raises(TrialError, match=r"needs its adapter"):
            teach(entry, OURS, THEIRS, LABEL, params=NoParams(), adapter=adapter, index=index)


def test_without_a_teacher_the_student_stands_in() -> None:
    entry = losses.get("ce")
    assert torch.equal(
        teach(entry, OURS, None, LABEL, params=NoParams()), entry.loss(OURS, OURS, LABEL, NoParams())
    )
