"""Photometric augmentations on uint8 images: pixel values change, positions do not.

Every step is one rounded operation on one value, or an integer sum, so that no result depends on the batching.
"""

import torch
from torch import Tensor

GREY = (0.2989, 0.587, 0.114)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with black; factors float32 (B,), 1 changes nothing."""
    return _blend(images, torch.zeros_like(images), factors)


def color(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with their greyscale versions; images of one channel unchanged."""
    return _blend(images, _grey(images), factors) if images.shape[1] == len(GREY) else images


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with the mean of their greyscale versions."""
    grey = _grey(images)
    mean = grey.long().sum(dim=(1, 2, 3), keepdim=True).double() / grey[0].numel()
    return _blend(images, mean.float(), factors)


def sharpness(images: Tensor, factors: Tensor) -> Tensor:
    """Return images blended with smoothed versions, in which border pixels are not smoothed."""
    if images.shape[-1] <= 2:
        return images
    whole, smooth = images.long(), images.clone()
    size = images.shape[-1] - 2
    around = sum(whole[..., y : y + size, x : x + size] for y in range(3) for x in range(3))
    inner = around + 4 * whole[..., 1:-1, 1:-1]
    smooth[..., 1:-1, 1:-1] = ((2 * inner + 13) // 26).to(torch.uint8)
    return _blend(images, smooth, factors)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Return images with only the highest bits of each value; bits int64 (B,), 1 to 8."""
    return images & (256 - 2 ** (8 - bits)).to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, thresholds: Tensor) -> Tensor:
    """Return images whose values at or above a threshold, float32 (B,), are inverted."""
    return torch.where(images >= thresholds[:, None, None, None], 255 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Return images with each channel stretched to 0..255; constant channels unchanged."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    scale = 255.0 / (high - low).float()
    stretched = ((images - low).float() * scale).clamp(0, 255).to(torch.uint8)
    return torch.where(high == low, images, stretched)


def equalize(images: Tensor) -> Tensor:
    """Return images with the histogram of each channel equalized, as in Pillow."""
    flat = images.flatten(2).long()
    counts = flat.new_zeros(*flat.shape[:2], 256).scatter_add_(2, flat, torch.ones_like(flat))
    last = counts.gather(2, flat.amax(dim=2, keepdim=True))
    step = (flat.shape[2] - last) // 255
    below = counts.cumsum(dim=2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    return torch.where(step == 0, flat, table.gather(2, flat)).to(torch.uint8).view_as(images)


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    ours = factors[:, None, None, None]
    return (images.float() * ours + others.float() * (1 - ours)).clamp(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != len(GREY):
        return images
    red, green, blue = (images[:, c : c + 1].float() * weight for c, weight in enumerate(GREY))
    return (red + green + blue).to(torch.uint8)
