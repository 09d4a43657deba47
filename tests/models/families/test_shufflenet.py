"""The channels of two halves are interleaved, whatever order the maps lie in."""

import pytest
import torch

from pdsearch.models.families.shufflenet import shuffle


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_channels_of_the_halves_alternate(layout: torch.memory_format) -> None:
    maps = torch.arange(2 * 6 * 3 * 2).reshape(2, 6, 3, 2).to(memory_format=layout)
    assert torch.equal(shuffle(maps), maps[:, [0, 3, 1, 4, 2, 5]])


def test_maps_stay_channels_last() -> None:
    maps = torch.zeros(2, 6, 3, 2).to(memory_format=torch.channels_last)
    assert shuffle(maps).is_contiguous(memory_format=torch.channels_last)
