import torch
from torch import Generator

from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.prune import balanced, scoring_batches
from tests.pipeline.digits import SPEC, data


def test_classes_take_turns_for_as_long_as_they_last() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [2] * 2)
    order = balanced(labels, Generator().manual_seed(0))
    assert sorted(order.tolist()) == list(range(11))
    turns = labels[order].tolist()
    assert [sorted(turns[:3]), sorted(turns[3:6]), sorted(turns[6:8])] == [[0, 1, 2], [0, 1, 2], [0, 1]]
    assert turns[8:] == [0] * 3


def test_the_draw_depends_on_the_generator_alone() -> None:
    labels = torch.arange(50) % 5
    first = balanced(labels, Generator().manual_seed(1))
    assert torch.equal(first, balanced(labels, Generator().manual_seed(1)))
    assert not torch.equal(first, balanced(labels, Generator().manual_seed(2)))


def test_a_method_sees_as_many_of_every_digit(here: WorkerContext) -> None:
    images = data(SPEC, here)
    ((seen, labels),) = scoring_batches(SPEC, images, here)
    assert seen.shape == (len(images.train), 1, 8, 8)
    counts = labels[:30].bincount(minlength=10)
    assert counts.tolist() == [3] * 10
