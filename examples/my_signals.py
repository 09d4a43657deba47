"""Sequences instead of images, and two networks for them, which my_convolutions.yaml and my_encoder.yaml search with.

A network that takes `input_shape` works with inputs of any shape: here (channels, steps).
"""

import numpy as np
import torch
from torch import Tensor, nn

from pdsearch import RawData


def load(*, steps: int = 64, per_class: int = 80, seed: int = 0) -> RawData:
    """Return noisy waves on two channels (3 classes): a sine, a square wave, or a sawtooth, of any phase and pitch.

    Args:
        steps: Length of a sequence.
        per_class: Sequences of each class, a quarter of them for testing.
        seed: Of all that is random.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(3 * per_class) % 3
    pitch, shift = random.uniform(2, 4, len(labels)), random.uniform(0, 1, (len(labels), 2, 1))
    turns = pitch[:, None, None] * np.linspace(0, 1, steps) + shift
    waves = np.stack([np.sin(2 * np.pi * turns), np.sign(np.sin(2 * np.pi * turns)), 2 * (turns % 1) - 1])
    values = waves[labels, np.arange(len(labels))] + random.normal(0, 0.4, turns.shape)
    inputs, tested = values.astype(np.float32), 3 * per_class // 4
    return RawData(
        train_images=inputs[tested:],
        train_labels=labels[tested:],
        test_images=inputs[:tested],
        test_labels=labels[:tested],
        classes=("sine", "square", "sawtooth"),
    )


def convolutions(
    *, num_classes: int, input_shape: tuple[int, int], widths: tuple[int, int] = (16, 32)
) -> nn.Module:
    """Return a network of two 1-D convolutions.

    Args:
        num_classes: Width of the logits.
        input_shape: (channels, steps).
        widths: Channels of the convolutions; `student: from_teacher` finds smaller ones.
    """
    channels, _ = input_shape
    first, second = widths
    return nn.Sequential(
        *(
            nn.Conv1d(channels, first, 7, padding=3, bias=False),
            nn.BatchNorm1d(first),
            nn.ReLU(),
            nn.MaxPool1d(2),
        ),
        *(nn.Conv1d(first, second, 5, padding=2, bias=False), nn.BatchNorm1d(second), nn.ReLU()),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(second, num_classes)),
    )


class Encoder(nn.Module):
    """A small transformer encoder over pieces of a sequence.

    Args:
        num_classes: Width of the logits.
        input_shape: (channels, steps).
        width: Width of a token.
        hidden: Width of the layer between the two linear layers of a block.
        blocks: Number of blocks.
        piece: Steps of a token; divides the steps of a sequence.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        input_shape: tuple[int, int],
        width: int = 32,
        hidden: int = 64,
        blocks: int = 2,
        piece: int = 8,
    ) -> None:
        super().__init__()
        channels, steps = input_shape
        self.tokens = nn.Conv1d(channels, width, piece, stride=piece)
        self.places = nn.Parameter(torch.randn(1, steps // piece, width) * 0.02)
        block = nn.TransformerEncoderLayer(width, 4, hidden, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, blocks, enable_nested_tensor=False)
        self.norm, self.classifier = nn.LayerNorm(width), nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (B, classes) of sequences (B, channels, steps)."""
        seen = self.blocks(self.tokens(inputs).transpose(1, 2) + self.places)
        logits: Tensor = self.classifier(self.norm(seen).mean(1))
        return logits
