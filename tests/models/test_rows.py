"""Are rows the maps themselves, every channel in its columns?"""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pdsearch.models.rows import WIDTH, as_row, as_rows, by_channel, widened, width, zeros


@given(st.integers(1, 9), st.integers(1, 70), st.integers(1, 9), st.integers(1, 9))
def test_rows_are_whole_and_long_where_they_can_be(
    batch: int, channels: int, height: int, across: int
) -> None:
    maps = torch.empty(batch, channels, height, across)
    found, positions = width(maps), batch * height * across
    assert found % channels == 0
    assert maps.numel() % found == 0
    assert found >= WIDTH or (positions // (found // channels)) % 2 == 1


def test_rows_share_the_memory_of_the_maps() -> None:
    maps = torch.zeros(2, 3, 4, 4, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    as_rows(maps)[0, 1] = 0x3F80
    assert maps[0, 1, 0, 0] == 1.0
    weight = torch.zeros(3, requires_grad=True)
    as_row(weight)[2] = 5
    assert weight[2] == 5


def test_what_is_widened_and_summed_stays_with_its_channel() -> None:
    maps = torch.empty(2, 3, 4, 4)
    sums, _ = zeros(maps)
    row = np.array([1.0, 10.0, 100.0], np.float32)
    sums += widened(row, sums)
    assert by_channel(sums, 3).tolist() == [32.0, 320.0, 3200.0]
