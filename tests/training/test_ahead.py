"""A step sees the same images, however many are made at once."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pdsearch.training import Engine
from pdsearch.training.batches import seen


class Asked:
    """Notes how many images are asked for at once."""

    def __init__(self, views: Any) -> None:
        self.views, self.sizes = views, []  # type: ignore[var-annotated]

    def __len__(self) -> int:
        return len(self.views)

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        self.sizes.append(len(index))
        return self.views.batch(epoch, index)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("at_once", "sizes"),
    [(0, [16, 16, 16, 2]), (31, [16, 16, 16, 2]), (32, [16, 32, 2]), (1000, [16, 34])],
)
def test_views_are_made_as_many_at_once_as_the_engine_says(
    views: Any, at_once: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, asked = Engine(threads=1), Asked(views)
    monkeypatch.setattr(Engine, "ahead_bytes", at_once * 3 * 8 * 8 * 4)
    steps = list(torch.randperm(50).split(16))
    found = list(seen(asked, 3, steps, engine))
    assert asked.sizes == sizes
    for (images, index), step in zip(found, steps, strict=True):
        assert torch.equal(index, step)
        assert torch.equal(images, views.batch(3, step))
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_only_a_gpu_is_ahead() -> None:
    assert Engine().ahead_bytes == 0
    assert Engine(device="cuda").ahead_bytes > 0
