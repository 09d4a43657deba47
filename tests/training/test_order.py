"""Every image comes once in an epoch, in an order of its own, and never alone in a batch."""

import pytest
import torch

from pdsearch.training.batches import batches, order


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (16, [16]), (17, [17]), (18, [16, 2]), (33, [16, 17]), (48, [16] * 3)]
)
def test_every_image_comes_once_and_none_alone(count: int, sizes: list[int]) -> None:
    found = batches(order(3, 0, count), 16)
    assert [len(batch) for batch in found] == sizes
    assert sorted(torch.cat(found).tolist()) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, second, again = (order(3, epoch, 50).tolist() for epoch in (0, 1, 0))
    assert first == again != second
    assert order(4, 0, 50).tolist() != first
