"""A tiny training problem: two classes of noisy 8x8 images, a network with batch normalisation."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training.device import Engine


@dataclass(frozen=True)
class Made:
    """Views of fixed images that shift with the epoch, as augmented ones would."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        return self.images[index] + 0.01 * epoch


def made(count: int = 50) -> Made:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    images = torch.randn(count, 3, 8, 8, generator=generator) + labels[:, None, None, None]
    return Made(images, labels)


def network(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(256, 2),
        )


@pytest.fixture
def views() -> Made:
    return made()


@pytest.fixture
def make() -> Callable[[int], Made]:
    return made


@pytest.fixture
def build() -> Callable[..., nn.Module]:
    return network


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(epochs=4, lr=0.05, batch_size=16, weight_decay=1e-3, milestones=(2,), warmup_epochs=1)


@pytest.fixture
def engine() -> Engine:
    return Engine()
