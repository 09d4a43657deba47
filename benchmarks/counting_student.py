"""A student network that notes each step a worker trains; copied to where a search is started.

The count is a buffer of the network, so that it is saved and restored with the weights: a worker that goes on from a
checkpoint counts on from there, and what it counts again was lost.
"""

import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn


class Counted(nn.Module):
    """A small convolutional network.

    Args:
        num_classes: Width of the logits.
        channels: Of an image.
        image_size: In pixels; not looked at.
        tag: Tells one trial's notes from another's.
        width: Channels of its layers; a wider one makes longer steps.
    """

    steps: Tensor

    def __init__(
        self, *, num_classes: int, channels: int, image_size: int, tag: float = 0.0, width: int = 192
    ) -> None:
        super().__init__()
        del image_size
        self.tag = tag
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.last = nn.Linear(width, num_classes)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes); note the step first, if it is one."""
        if self.training and torch.is_grad_enabled():
            self.steps += 1
            note = f"{self.tag!r} {int(self.steps)} {time.time():.4f}\n"
            with (Path(__file__).parent / f"steps-{os.getpid()}.txt").open("a") as notes:
                notes.write(note)
        return self.last(self.layers(images).mean((2, 3)))  # type: ignore[no-any-return]
