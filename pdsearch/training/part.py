"""How far has an epoch come? What a training must know beside its state to go on in the middle of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pdsearch.specs import Json

__all__ = ["BEGIN", "PREFIX", "Part", "random_states", "restore_random"]

PREFIX = "part/"
"""Begins the names of the tensors of a part, among those of the training's state."""


@dataclass(frozen=True)
class Part:
    """The first steps of an epoch.

    Args:
        steps: Done.
        seconds: They took.
        total: Sum of the losses of their images, (), float64; None before the first.
        random: States of the generators after them, by type of device.
    """

    steps: int = 0
    seconds: float = 0.0
    total: Tensor | None = None
    random: Mapping[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, on the CPU."""
        assert self.total is not None
        found = {"total": self.total, **{f"random/{name}": state for name, state in self.random.items()}}
        return {PREFIX + name: tensor.detach().cpu().clone() for name, tensor in found.items()}

    def meta(self) -> dict[str, Json]:
        """Return what is no tensor."""
        return {"steps": self.steps, "seconds": self.seconds}

    def begin(self, device: str) -> Tensor:
        """Put the generators back to where they were; return the losses so far, on the device."""
        restore_random(self.random, device)
        start = torch.zeros((), dtype=torch.float64) if self.total is None else self.total.clone()
        return start.to(device)

    @classmethod
    def stored(cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> "Part":
        """Rebuild a part from `tensors` and `meta`."""
        random = {
            name.removeprefix(f"{PREFIX}random/"): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{PREFIX}random/")
        }
        return cls(meta["steps"], meta["seconds"], tensors[f"{PREFIX}total"], random)


BEGIN = Part()
"""Of an epoch of which nothing is done."""


def random_states(device: str) -> dict[str, Tensor]:
    """Return the states of the generators that a training on this device draws from."""
    states = {"cpu": torch.get_rng_state()}
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(torch.device(device))
    return states


def restore_random(states: Mapping[str, Tensor], device: str) -> None:
    """Put the generators that a training on this device draws from back to `random_states`."""
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        elif torch.device(device).type == name:
            torch.cuda.set_rng_state(state, torch.device(device))
