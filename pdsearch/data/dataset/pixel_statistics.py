"""Exact mean and standard deviation of a set's pixels, summed over the 256 values."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Histogram"]

VALUES = np.arange(256, dtype=np.float64)


class Histogram:
    """Counts of each pixel value in each channel: integers, so that the order of additions does not matter.

    Args:
        channels: Channels of the images.
    """

    def __init__(self, channels: int) -> None:
        self._counts = np.zeros((channels, 256), dtype=np.int64)

    def add(self, images: NDArray[np.uint8]) -> None:
        """Count the values of images (N, C, H, W)."""
        for channel, counts in enumerate(self._counts):
            counts += np.bincount(images[:, channel].ravel(), minlength=256)

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean of each channel, (C,)."""
        return np.array(self._means(), dtype=np.float32)

    @property
    def std(self) -> NDArray[np.float32]:
        """Standard deviation of each channel, (C,); 1 for a constant one."""
        spread = [
            float(counts @ (VALUES - mean) ** 2) / counts.sum()
            for counts, mean in zip(self._counts, self._means(), strict=True)
        ]
        return np.array([variance**0.5 or 1.0 for variance in spread], dtype=np.float32)

    def _means(self) -> list[float]:
        return [float(counts @ VALUES) / counts.sum() for counts in self._counts]
