"""Mixed views and their targets have the same shares; partners and shares are drawn as the papers say."""

import pytest
import torch

from pdsearch.data.augmentations.mixing import UNIT, Cutmix, Mixup, MixupOrCutmix
from pdsearch.data.registry import Mixing

SIZE = 8
EVERY = [Mixup(), Cutmix(), MixupOrCutmix(), Mixup(0.2), Cutmix(0.2)]


def drawn(mixing: Mixing, images: int = 400) -> torch.Tensor:
    return mixing.draw(images, SIZE, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("mixing", EVERY, ids=repr)
def test_every_image_is_a_partner_once(mixing: Mixing) -> None:
    assert drawn(mixing)[:, 0].sort().values.tolist() == list(range(400))


@pytest.mark.parametrize("mixing", EVERY, ids=repr)
def test_the_share_of_the_target_is_the_share_of_the_pixels(mixing: Mixing) -> None:
    draws = drawn(mixing)
    ours, theirs = torch.ones(400, 3, SIZE, SIZE), torch.zeros(400, 3, SIZE, SIZE)
    seen = mixing.apply(ours, theirs, draws).mean(dim=(1, 2, 3))
    torch.testing.assert_close(seen, mixing.share(draws, SIZE))


def test_mixup_is_a_blend_at_every_pixel() -> None:
    ours, theirs = torch.full((1, 1, 2, 2), 10.0), torch.full((1, 1, 2, 2), 20.0)
    blended = Mixup().apply(ours, theirs, torch.tensor([[0, UNIT // 4]]))
    assert blended.flatten().tolist() == [17.5] * 4


def test_cutmix_pastes_a_box() -> None:
    ours, theirs = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    expected = torch.zeros(1, 1, 4, 4)
    expected[..., 1:3, 0:2] = 1
    row = torch.tensor([[0, 1, 3, 0, 2]])
    assert torch.equal(Cutmix().apply(ours, theirs, row), expected)
    assert Cutmix().share(row, 4).item() == 0.75


@pytest.mark.parametrize(("alpha", "variance"), [(1.0, 1 / 12), (0.2, 1 / 5.6), (8.0, 1 / 68)])
def test_shares_have_the_variance_of_the_beta_distribution(alpha: float, variance: float) -> None:
    shares = Mixup().share(drawn(Mixup(alpha), 4000), SIZE)
    assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares.var().item() == pytest.approx(variance, rel=0.1)  # 1 / (4 (2 alpha + 1))


def test_boxes_lie_inside_and_reach_every_size() -> None:
    draws = drawn(Cutmix(), 4000)
    assert draws[:, 1:].min() == 0
    assert draws[:, 1:].max() == SIZE
    assert (draws[:, 2] >= draws[:, 1]).all()
    assert (draws[:, 4] >= draws[:, 3]).all()


def test_either_is_drawn_half_of_the_time() -> None:
    assert 0.45 < drawn(MixupOrCutmix(), 2000)[:, 1].float().mean() < 0.55
