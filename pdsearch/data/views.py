"""Which view of an image is trained on in an epoch? One that depends on stream, epoch and image alone."""

import torch
from torch import Tensor

from pdsearch.data.dataset import Split
from pdsearch.data.registry import augmentations
from pdsearch.specs import derive_seed

__all__ = ["Views", "normalise"]


_SMALL_BYTES = 8 * 2**20
"""Normalised once up to this size; larger sets stay as bytes, which the processes of a node share."""


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (images - mean) / std, float32.

    Args:
        images: uint8 (B, C, H, W).
        mean: float32 (C,), in the units of the images.
        std: Likewise.
    """
    shape = (1, -1, 1, 1)
    return images.float().sub_(mean.view(shape)).div_(std.view(shape))


class Views:
    """The training views of a split, drawn whole epochs at a time: batches and their order do not matter.

    Teacher and student see the same view wherever they use the same stream; the view of an image in an epoch
    may therefore be stored, or drawn again, with the same result.

    Args:
        split: Images and labels.
        mean: See `normalise`.
        std: See `normalise`.
        augment: Registered augmentation.
        stream: Seed of the views.
        device: Where the images are held and the views are made.

    Raises:
        ConfigError: The augmentation is unknown.
    """

    def __init__(
        self, split: Split, *, mean: Tensor, std: Tensor, augment: str, stream: int, device: str = "cpu"
    ) -> None:
        self._augmentation = augmentations.get(augment)
        self._stream = stream
        self._images, self._labels = split.images.to(device), split.labels.to(device)
        self._mean, self._std = mean.to(device), std.to(device)
        self._drawn: tuple[int, Tensor] | None = None
        self._ready = self._normalised() if self._augmentation.constant and self._small else None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    @property
    def constant(self) -> bool:
        """Whether every epoch shows the same views."""
        return self._augmentation.constant

    @property
    def labels(self) -> Tensor:
        """Labels of all images, int64 (N,), on the views' device."""
        return self._labels

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        """Return the views of the indexed images in an epoch, normalised, float32 (B, C, H, W).

        Args:
            epoch: From 0; any non-negative number.
            index: Positions in the split, int64 (B,), on any device.
        """
        index = index.to(self._images.device)
        if self._ready is not None:
            return self._ready[index]
        images = self._images[index]
        if not self.constant:
            images = self._augmentation.apply(images, self._draws(epoch)[index])
        return normalise(images, self._mean, self._std)

    @property
    def _small(self) -> bool:
        return self._images.numel() * 4 <= _SMALL_BYTES

    def _normalised(self) -> Tensor:
        return normalise(self._images, self._mean, self._std).contiguous(memory_format=torch.channels_last)

    def _draws(self, epoch: int) -> Tensor:
        if self._drawn is None or self._drawn[0] != epoch:
            # Drawn on the CPU: the same views on every device.
            generator = torch.Generator().manual_seed(derive_seed(self._stream, "views", epoch))
            draws = self._augmentation.draw(len(self), self._images.shape[-1], generator)
            self._drawn = (epoch, draws.to(self._images.device))
        return self._drawn[1]
