"""Random crops of the same size after zero padding, with or without a flip, for small images."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

from pdsearch.data.registry import augmentations


@dataclass(frozen=True)
class Crop:
    """Pad with black by an eighth of the size (at least 1 pixel), crop at a random offset; crop_flip mirrors half.

    For images of 32x32 the padding is 4.

    Source:
        He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, arXiv 1512.03385,
        section 4.2.
    """

    flip: bool
    constant: ClassVar[bool] = False
    applies_to: ClassVar[str] = "maps"

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:
        """Return one row per image: vertical offset, horizontal offset, flip (0 or 1); int64 (N, 3)."""
        offsets = torch.randint(0, 2 * padding(size) + 1, (images, 2), generator=generator)
        mirrored = torch.randint(0, 2, (images, 1), generator=generator)
        return torch.cat([offsets, mirrored if self.flip else torch.zeros_like(mirrored)], dim=1)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """Return the views of images (B, C, H, W) for the draws (B, 3) of the same images."""
        height, width = images.shape[2:]
        margin = padding(min(height, width))
        padded = functional.pad(images, [margin] * 4)
        rows, columns, mirrored = draws.unbind(1)
        picked = torch.arange(len(images), device=images.device)
        if self.flip:
            # A mirrored window is a window of the mirrored image: this is faster than mirroring after cropping.
            padded = torch.cat([padded, padded.flip(-1)])
            picked, columns = picked + len(images) * mirrored, columns + mirrored * 2 * (margin - columns)
        # All windows of all images as a strided view: copies whole rows, three times as fast as single pixels.
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        return windows[picked, :, rows, columns]


def padding(size: int) -> int:
    """Return the pixels added on each side of an image of this size."""
    return max(1, size // 8)


augmentations.add("crop")(Crop(flip=False))
augmentations.add("crop_flip")(Crop(flip=True))
