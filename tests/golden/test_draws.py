"""Random numbers that results depend on never change: a stored view or split would no longer be the same."""

import hashlib

import torch

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


def test_order_of_an_epoch() -> None:
    generator = torch.Generator().manual_seed(derive_seed(0, "order", 0))
    assert torch.randperm(1000, generator=generator)[:5].tolist() == [939, 312, 581, 326, 597]
