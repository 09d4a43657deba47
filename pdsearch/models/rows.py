"""How do loops over maps see them? As rows of numbers in the order channels_last, with one row of factors for all."""

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Maps", "Row", "as_row", "as_rows", "by_channel", "widened", "width", "zeros"]

WIDTH = 256
"""Numbers in a row, at least, where the maps can be divided so: short rows would be all beginnings and ends."""

Row: TypeAlias = NDArray[np.floating[Any]]
"""A number for each channel, (C,), or for each column, (width,)."""
Maps: TypeAlias = NDArray[np.uint16]
"""bfloat16 as it lies in memory, (rows, width); width is a multiple of the channels."""


def width(maps: Tensor) -> int:
    """Return how long the rows of maps, (B, C, H, W), are: C times a power of two that divides B * H * W."""
    positions, found = maps.numel() // maps.shape[1], maps.shape[1]
    while positions % 2 == 0 and found < WIDTH:
        positions, found = positions // 2, found * 2
    return found


def as_rows(maps: Tensor) -> Maps:
    """Return maps, bfloat16 (B, C, H, W) in channels_last order, as rows; their memory is shared."""
    flat = maps.detach().permute(0, 2, 3, 1).view(-1, width(maps))
    found: Maps = flat.view(torch.uint16).numpy()
    return found


def as_row(tensor: Tensor) -> Row:
    """Return a tensor (C,) as a row; its memory is shared."""
    found: Row = tensor.detach().numpy()
    return found


def zeros(maps: Tensor) -> tuple[Row, Row]:
    """Return two rows, float64 (width,), to add up columns of maps in."""
    return np.zeros(width(maps)), np.zeros(width(maps))


def widened(row: Row, like: Row | Maps) -> NDArray[np.float32]:
    """Return the numbers of the channels, again and again, for every column of another array."""
    return np.tile(row, like.shape[-1] // len(row)).astype(np.float32)


def by_channel(columns: Row, channels: int) -> Row:
    """Return the sums of the columns of each channel, (C,)."""
    found: Row = columns.reshape(-1, channels).sum(axis=0)
    return found
