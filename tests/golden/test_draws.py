"""Random numbers that results depend on never change: a stored view or split would no longer be the same."""

import hashlib

import pytest
import torch

from pdsearch.data.dataset.dataset import Split
from pdsearch.data.dataset.views import Views
from pdsearch.data.registry import augmentations
from pdsearch.specs import derive_seed


def test_draws_of_a_stream() -> None:
    generator = torch.Generator().manual_seed(derive_seed(0, "views", 0))
    draws = augmentations.get("crop_flip").draw(50_000, 32, generator)
    assert draws[:3].tolist() == [[5, 8, 0], [4, 7, 1], [2, 6, 1]]
    assert (
        hashlib.sha256(draws.numpy().tobytes()).hexdigest()
        == "569dcbdf94adcd81191464836b444f4da546e0ad26bfee841d41e9cf2f2ea81d"
    )


@pytest.mark.parametrize(
    ("augment", "epoch", "expected"),
    [
        ("trivial_augment", 1, "1c4c994eac8b2d01"),
        ("crop_flip+mixup", 1, "9f3e470c2e37d0c3"),
        ("crop_flip+cutmix(0.2)", 1, "e8bdd6139aabc61f"),
        ("trivial_augment+mixup_or_cutmix", 1, "3ed78b4f1a9ca69b"),
    ],
)
def test_views_and_targets_of_a_stream(augment: str, epoch: int, expected: str) -> None:
    pixels = torch.arange(20 * 3 * 8 * 8).view(20, 3, 8, 8).mul(7).remainder(256).to(torch.uint8)
    split, index = Split(pixels, torch.arange(20) % 4), torch.arange(20)
    seen = Views(split, mean=torch.zeros(3), std=torch.ones(3), augment=augment, stream=0, classes=4)
    shown = seen.batch(epoch, index).numpy().tobytes() + seen.targets(epoch, index).numpy().tobytes()
    assert hashlib.sha256(shown).hexdigest()[:16] == expected


def test_order_of_an_epoch() -> None:
    generator = torch.Generator().manual_seed(derive_seed(0, "order", 0))
    assert torch.randperm(1000, generator=generator)[:5].tolist() == [939, 312, 581, 326, 597]
