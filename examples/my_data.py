"""A data set of one's own: `data: {source: callable, options: {function: my_data:load}}`, started in this folder."""

import numpy as np

from pdsearch import RawData


def load(*, size: int = 8, per_class: int = 60, seed: int = 0) -> RawData:
    """Return grey images of stripes: lying, standing, or none (3 classes).

    Args:
        size: Height and width of an image, in pixels.
        per_class: Images of each class, a quarter of them for testing.
        seed: Of the noise.
    """
    random = np.random.default_rng(seed)
    images = random.integers(0, 200, (3 * per_class, 1, size, size), dtype=np.uint8)
    labels = np.arange(3 * per_class) % 3
    images[labels == 0, :, ::2, :] += 30
    images[labels == 1, :, :, ::2] += 30
    tested = 3 * per_class // 4
    return RawData(
        train_images=images[tested:],
        train_labels=labels[tested:],
        test_images=images[:tested],
        test_labels=labels[:tested],
        classes=("lying", "standing", "noise"),
    )
