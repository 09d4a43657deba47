"""Does each replica see its own views in its own order, and is each measured by itself?"""

import pytest
import torch

from pdsearch.stages.abreast import Abreast, Replicas, scored
from pdsearch.stages.data import views
from pdsearch.stages.networks import blank, measure, plain_views
from pdsearch.stages.site import Site
from pdsearch.training.order import batches, order
from tests.stages.digits import MOVING, data

SEEDS = (5, 6, 7)


@pytest.fixture
def abreast(here: Site) -> Abreast:
    images = data(MOVING, here)
    seen = [views(images, augment="crop", stream=seed, site=here) for seed in SEEDS]
    return Abreast(seen, SEEDS, seed=99)


@pytest.mark.parametrize("epoch", [0, 3])
def test_every_step_shows_each_replica_what_it_would_see_alone(abreast: Abreast, epoch: int) -> None:
    shown = batches(order(99, epoch, len(abreast)), 16)
    for number, (seed, seen) in enumerate(zip(SEEDS, abreast.seen, strict=True)):
        alone = batches(order(seed, epoch, len(seen)), 16)
        for ours, theirs in zip(shown, alone, strict=True):
            assert torch.equal(abreast.own(epoch, ours)[number], theirs)
            found = abreast.batch(epoch, ours).chunk(len(SEEDS), dim=1)[number]
            assert torch.equal(found, seen.batch(epoch, theirs))


def test_each_is_measured_as_alone_and_their_mean_is_told(here: Site) -> None:
    images = data(MOVING, here)
    students = [blank("convnet_s", (), images, seed) for seed in SEEDS]
    together = Replicas(students, epochs=2)
    evaluate = scored(images, plain_views(images, images.val, here), here.engine("fp32"))
    mean = evaluate(together)
    alone = [measure(student, images, "val", here, "fp32") for student in students]
    assert (together.right[0] / len(images.val)).tolist() == pytest.approx(alone)
    assert mean == pytest.approx(sum(alone) / len(alone))
    evaluate(together)
    assert int(together.ended) == 2
    assert torch.equal(together.right[0], together.right[1])
