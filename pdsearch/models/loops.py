"""How does a CPU go once through maps in bfloat16, where torch goes three times? By loops that numba compiles.

It compiles them when this module is imported, which only whoever calls them does. They see maps as
`pdsearch.models.rows` has them, and write to what is given last. A number is computed in float32 and rounded to the
nearest, ties to even, as torch does.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from pdsearch.models.rows import Maps

__all__ = ["gradient_sums", "gradients", "moments", "normalised", "passed"]

BLOCK = 128
"""Rows summed in float32, before their sum goes into float64."""

Row: TypeAlias = NDArray[np.float32]
Sums: TypeAlias = NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., None])
_MAPS, _ROW, _SUMS = "uint16[:, ::1]", "float32[::1]", "float64[::1]"


def _compiled(*kinds: str) -> Callable[[F], F]:
    # "contract" lets a product and a sum be one instruction, as in torch's own loops; NaN stays what it is.
    made = numba.njit(f"void({', '.join(kinds)})", nogil=True, fastmath={"contract"}, error_model="numpy")
    return cast("Callable[[F], F]", made)


@numba.njit(inline="always")
def _up(half: Any) -> Any:  # numba has no bfloat16: it is the upper half of a float32.
    return np.uint32(np.uint32(half) << np.uint32(16)).view(np.float32)


@numba.njit(inline="always")
def _down(number: Any) -> Any:
    bits = np.float32(number).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@_compiled(_MAPS, _ROW, _ROW, _MAPS, "boolean", _MAPS)
def normalised(maps: Maps, factor: Row, offset: Row, around: Maps, active: bool, found: Maps) -> None:
    """Write maps * factor + offset, + around where that has rows, not below 0 where active."""
    rows, width = maps.shape
    added = around.shape[0] > 0
    for row in range(rows):
        for k in range(width):
            value = _up(maps[row, k]) * factor[k] + offset[k]
            if added:
                value = _up(_down(value)) + _up(around[row, k])
            if active:
                value = np.float32(0) if value < 0 else value
            found[row, k] = _down(value)


@_compiled(_MAPS, _ROW, _SUMS, _SUMS)
def moments(maps: Maps, near: Row, sums: Sums, squares: Sums) -> None:
    """Add up columns of maps - near, and of its square: near the mean, nothing is lost to cancellation."""
    rows, width = maps.shape
    some, more = np.empty(width, np.float32), np.empty(width, np.float32)
    for begin in range(0, rows, BLOCK):
        some[:], more[:] = 0, 0
        for row in range(begin, min(begin + BLOCK, rows)):
            for k in range(width):
                value = _up(maps[row, k]) - near[k]
                some[k] += value
                more[k] += value * value
        for k in range(width):
            sums[k] += some[k]
            squares[k] += more[k]


@_compiled(_MAPS, _MAPS, _MAPS, _ROW, _SUMS, _SUMS)
def gradient_sums(gradient: Maps, result: Maps, maps: Maps, mean: Row, sums: Sums, products: Sums) -> None:
    """Add up columns of the gradient, and of its product with maps - mean.

    Where the result has rows, it came out of ReLU: the gradient counts where it is not 0.
    """
    rows, width = maps.shape
    active = result.shape[0] > 0
    some, more = np.empty(width, np.float32), np.empty(width, np.float32)
    for begin in range(0, rows, BLOCK):
        some[:], more[:] = 0, 0
        for row in range(begin, min(begin + BLOCK, rows)):
            for k in range(width):
                value = _up(gradient[row, k])
                if active:
                    value = value if result[row, k] != 0 else np.float32(0)
                some[k] += value
                more[k] += value * (_up(maps[row, k]) - mean[k])
        for k in range(width):
            sums[k] += some[k]
            products[k] += more[k]


@_compiled(_MAPS, _MAPS, _MAPS, _ROW, _ROW, _ROW, _MAPS)
def gradients(
    gradient: Maps, result: Maps, maps: Maps, by_gradient: Row, by_maps: Row, offset: Row, found: Maps
) -> None:
    """Write gradient * by_gradient + maps * by_maps + offset; the gradient counts as in `gradient_sums`."""
    rows, width = maps.shape
    active = result.shape[0] > 0
    for row in range(rows):
        for k in range(width):
            value = _up(gradient[row, k])
            if active:
                value = value if result[row, k] != 0 else np.float32(0)
            found[row, k] = _down(value * by_gradient[k] + _up(maps[row, k]) * by_maps[k] + offset[k])


@_compiled(_MAPS, _MAPS, _MAPS)
def passed(gradient: Maps, result: Maps, found: Maps) -> None:
    """Write what ReLU lets pass of a gradient: where its result is not 0."""
    rows, width = gradient.shape
    for row in range(rows):
        for k in range(width):
            found[row, k] = gradient[row, k] if result[row, k] != 0 else np.uint16(0)
