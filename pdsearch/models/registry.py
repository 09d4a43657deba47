"""How is a network named and built? Families register their names; `build` draws the weights from a seed."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn

from pdsearch.registry import Registry
from pdsearch.specs import Params, derive_seed

__all__ = ["Builder", "build", "models"]

Builder: TypeAlias = Callable[..., nn.Module]
"""builder(*, num_classes, channels, image_size, **options) -> module whose forward maps (B, C, H, W) to logits."""

models: Registry[Builder] = Registry("model", "pdsearch.models.families")


def build(
    name: str, *, num_classes: int, channels: int, image_size: int, seed: int, options: Params = ()
) -> nn.Module:
    """Build a network, its initial weights drawn from the seed alone; the global generator is left as it was.

    Args:
        name: Registered model name.
        num_classes: Width of the logits.
        channels: Channels of an image.
        image_size: Height and width of an image, in pixels.
        seed: Of the initialisation.
        options: Further arguments of the model.

    Raises:
        ConfigError: The name is unknown.
    """
    builder = models.get(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "init"))
        return builder(num_classes=num_classes, channels=channels, image_size=image_size, **dict(options))
