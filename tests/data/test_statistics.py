"""Mean and deviation gathered in parts are those of the whole."""

import numpy as np

from pdsearch.data.dataset.statistics import Histogram
from tests.data.layouts import pixels

IMAGES = pixels(50, 3, 6)


def test_parts_add_up_to_the_whole() -> None:
    whole, parts = Histogram(3), Histogram(3)
    whole.add(IMAGES)
    for part in (IMAGES[:7], IMAGES[7:8], IMAGES[8:8], IMAGES[8:]):
        parts.add(part)
    assert np.array_equal(whole.mean, parts.mean)
    assert np.array_equal(whole.std, parts.std)
    assert whole.mean.dtype == whole.std.dtype == np.float32


def test_they_are_numpys() -> None:
    found = Histogram(3)
    found.add(IMAGES)
    np.testing.assert_allclose(found.mean, IMAGES.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(found.std, IMAGES.std((0, 2, 3)), rtol=1e-6)


def test_a_constant_channel_has_deviation_one() -> None:
    found = Histogram(2)
    found.add(np.full((3, 2, 4, 4), 9, dtype=np.uint8))
    assert found.mean.tolist() == [9, 9]
    assert found.std.tolist() == [1, 1]
