"""Do the loops round as torch does, and keep what is no number?"""

import numpy as np
import torch
from torch import Tensor

from pdsearch.models import loops
from pdsearch.models.rows import Maps

ALL = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
"""Every bfloat16 there is."""
NONE = ALL[:0]


def as_numbers(maps: Maps) -> Tensor:
    return torch.from_numpy(maps.copy()).view(torch.bfloat16)


def scaled(maps: Maps, factor: float, offset: float, *, active: bool = False, around: Maps = NONE) -> Maps:
    found = np.empty_like(maps)
    factors, offsets = (np.full(maps.shape[1], value, np.float32) for value in (factor, offset))
    loops.normalised(maps, factors, offsets, around, active, found)
    return found


def test_nothing_is_lost_on_the_way_to_float32_and_back() -> None:
    assert torch.equal(as_numbers(scaled(ALL, 1, 0)).nan_to_num(7), (as_numbers(ALL) + 0).nan_to_num(7))


def test_results_are_rounded_to_the_nearest_ties_to_even_as_torch_does() -> None:
    numbers = as_numbers(ALL).double()
    for factor in (1 + 2**-8, 1.3, -0.37, 3e-3, 2.0**100):
        exact = numbers * float(np.float32(factor))  # Exact in float64, and so rounded only once.
        assert torch.equal(as_numbers(scaled(ALL, factor, 0)).nan_to_num(7), exact.bfloat16().nan_to_num(7))


def test_relu_keeps_what_is_no_number() -> None:
    assert torch.equal(
        as_numbers(scaled(ALL, 1, 0, active=True)).nan_to_num(7), as_numbers(ALL).relu().nan_to_num(7)
    )
    assert as_numbers(scaled(ALL, 1, 0, active=True)).isnan().sum() == as_numbers(ALL).isnan().sum()


def test_a_sum_is_one_of_two_rounded_numbers() -> None:
    other = ALL[::-1].copy()
    expected = (as_numbers(ALL).float() * 1.3).bfloat16() + as_numbers(other)
    assert torch.equal(as_numbers(scaled(ALL, 1.3, 0, around=other)).nan_to_num(7), expected.nan_to_num(7))


def test_what_passes_relu_is_the_gradient_itself() -> None:
    found, result = np.empty_like(ALL), (ALL % 3).astype(np.uint16)
    loops.passed(ALL, result, found)
    assert np.array_equal(found, np.where(result != 0, ALL, 0))
