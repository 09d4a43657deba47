"""What is a data source, and what an augmentation? Their protocols and registries; nothing here loads torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pdsearch.registry import Registry
from pdsearch.specs import DataSpec

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["Augmentation", "RawData", "Source", "augmentations", "sources"]


@dataclass(frozen=True)
class RawData:
    """A data set as its source holds it.

    Args:
        train_images: uint8 (N, C, H, W).
        train_labels: int64 (N,), in [0, number of classes).
        test_images: uint8 (M, C, H, W).
        test_labels: int64 (M,).
        classes: Names of the classes, in the order of their indices.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]


class Source(Protocol):
    """A place data sets come from. Called in this order: fingerprint (in the driver), read (once, by a worker)."""

    def fingerprint(self, spec: DataSpec) -> str:
        """Return the SHA-256 of the content, 64 hex digits, without loading torch.

        Raises:
            DataError: The set is missing or broken; the message says which file and what to do.
        """

    def read(self, spec: DataSpec) -> RawData:
        """Read and decode the whole set.

        Raises:
            DataError: As above, or an image cannot be decoded.
        """


sources: Registry[Source] = Registry("data source", "pdsearch.data.sources")

Augmentation: TypeAlias = "Callable[[Tensor, int, Generator], Callable[[Tensor, Tensor], Tensor]]"
"""See pdsearch.data.views; typed loosely here so that the driver need not load torch."""

augmentations: Registry[Any] = Registry("augmentation", "pdsearch.data.augmentations")
