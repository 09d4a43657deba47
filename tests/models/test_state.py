"""What a network computes with is stored as tensors and loaded again, whatever its state dict holds beside them."""

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.models import load_tensors, state_tensors


class Extra(nn.Linear):
    """A layer with a state that is no tensor."""

    def __init__(self, value: Any) -> None:
        super().__init__(2, 2)
        self.value = value

    def get_extra_state(self) -> Any:
        return self.value

    def set_extra_state(self, state: Any) -> None:
        self.value = state


@pytest.mark.parametrize(
    "value", [{"steps": 3, "names": ["a"]}, None, torch.arange(3), torch.tensor([80, 75, 3])]
)
def test_an_extra_state_is_stored_as_bytes_and_comes_back(value: Any) -> None:
    other = Extra("another")
    stored = state_tensors(Extra(value))
    assert all(isinstance(tensor, torch.Tensor) for tensor in stored.values())
    load_tensors(other, stored)
    assert torch.equal(other.value, value) if isinstance(value, torch.Tensor) else other.value == value


def test_an_extra_state_that_only_code_could_read_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^_extra_state, of class Identity, cannot be stored") as caught:
        state_tensors(Extra(nn.Identity()))
    assert caught.value.hint


def test_layers_that_read_the_version_of_a_state_dict_are_loaded() -> None:
    one, other = (torchvision.models.mnasnet0_5(num_classes=3) for _ in range(2))
    load_tensors(other, state_tensors(one))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
