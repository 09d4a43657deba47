"""Every family of networks is the same without channels as with them at zero."""

import copy

import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.models import build
from pdsearch.pruning import Mask, find_channels, kept_channels, prunable, prune_once, shrink
from pdsearch.pruning.registry import methods
from pdsearch.registry import NoParams
from tests.contracts.families import smallest

SIZE = 16


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def made(name: str) -> nn.Module:
    """A network in which every channel matters, dead ones too where something reads them."""
    model = build(name, num_classes=7, input_shape=(3, SIZE, SIZE), seed=0).eval()
    random = Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value in (module.weight, module.bias, module.running_mean, module.running_var):
                assert isinstance(value, Tensor)
                value.data.uniform_(0.5, 1.5, generator=random)
    return model


def images(count: int) -> Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=Generator().manual_seed(2))


def mask_of(model: nn.Module, sparsity: float, *, whole: nn.Module, within: Mask | None = None) -> Mask:
    return prune_once(
        model,
        method=methods.get("filter_l1"),
        params=NoParams(),
        batches=[(images(1), torch.zeros(1, dtype=torch.int64))],
        generator=Generator(),
        sparsity=sparsity,
        within=within,
        whole=whole,
    )


@pytest.mark.parametrize("name", smallest())
def test_without_channels_as_with_them_at_zero_round_by_round(name: str) -> None:
    whole = made(name)
    small, mask, kept, found = copy.deepcopy(whole), None, None, find_channels(whole, images(1))
    ties = found.ties
    for sparsity in (0.3, 0.6):
        fresh = mask_of(small, sparsity, whole=whole, within=mask)
        assert mask is None or all(bool((fresh[weight] <= mask[weight]).all()) for weight in fresh)
        left = kept_channels(fresh, ties)
        shrink(small, found, kept=left, before=kept)
        mask, kept = fresh, left
        channels = sum(tie.size for tie in ties)
        assert sum(map(len, left.values())) == channels - int(sparsity * channels + 0.5)
        assert min(map(len, left.values())) >= 1
    masked = copy.deepcopy(whole)
    assert mask is not None
    mask.apply(masked)
    with torch.no_grad():
        expected, found = masked(images(4)), small(images(4))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
    assert sum(weight.numel() for weight in prunable(small).values()) == mask.remaining
    assert bool(mask[list(prunable(whole))[-1]].any(dim=1).all())


def test_padded_shortcuts_lose_channels() -> None:
    options = (("shortcut", "pad"),)
    whole = build("resnet8", num_classes=7, input_shape=(3, SIZE, SIZE), seed=0, options=options)
    names = [tie.name for tie in find_channels(whole, images(1)).ties]
    assert "stem.0.weight" in names
