"""Mean and standard deviation of a set's values by channel, added up a few examples at a time."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

VALUES = np.arange(256, dtype=np.float64)
Channels: TypeAlias = NDArray[np.float32]


class Histogram:
    """Exact statistics of bytes: counts are integers, so that the order of additions does not matter.

    Args:
        channels: Channels of the images.
    """

    def __init__(self, channels: int) -> None:
        self._counts = np.zeros((channels, 256), dtype=np.int64)

    def add(self, values: NDArray[np.uint8 | np.float32]) -> None:
        """Count the values of images (N, C, ...)."""
        for channel, counts in enumerate(self._counts):
            counts += np.bincount(values[:, channel].ravel(), minlength=256)

    @property
    def mean(self) -> Channels:
        """Mean of each channel, (C,)."""
        return np.array(self._means(), dtype=np.float32)

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel, (C,); 1 for a constant one."""
        spread = [
            float(counts @ (VALUES - mean) ** 2) / counts.sum()
            for counts, mean in zip(self._counts, self._means(), strict=True)
        ]
        return np.array([variance**0.5 or 1.0 for variance in spread], dtype=np.float32)

    def _means(self) -> list[float]:
        return [float(counts @ VALUES) / counts.sum() for counts in self._counts]


class Moments:
    """Statistics of float32 values in float64, joined chunk by chunk.

    Args:
        channels: Length of the first axis of an example.

    Source:
        Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    def __init__(self, channels: int) -> None:
        self._count, self._mean, self._squares = 0, np.zeros(channels), np.zeros(channels)

    def add(self, values: NDArray[np.uint8 | np.float32]) -> None:
        """Include the values of some examples (N, C, ...)."""
        by_channel = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1).astype(np.float64)
        added, count = by_channel.shape[1], self._count + by_channel.shape[1]
        mean = by_channel.mean(axis=1)
        squares = ((by_channel - mean[:, None]) ** 2).sum(axis=1)
        self._squares += squares + (mean - self._mean) ** 2 * (self._count * added / count)
        self._mean += (mean - self._mean) * (added / count)
        self._count = count

    @property
    def mean(self) -> Channels:
        """Mean of each channel, (C,)."""
        return self._mean.astype(np.float32)

    @property
    def std(self) -> Channels:
        """Standard deviation of each channel, (C,); 1 for one that is constant, up to rounding."""
        spread = np.sqrt(self._squares / self._count)
        constant = spread <= 1e-7 * np.abs(self._mean)
        return np.where(constant, 1.0, spread).astype(np.float32)
