"""Registered networks that stand for all: numbers alone, of layers and channels, set the others of a family apart."""

from functools import partial

import torch

from pdsearch.models import build, count_params, models


def smallest() -> list[str]:
    """Return the two smallest networks of each builder and of each of its switches, new ones too."""
    families: dict[object, list[str]] = {}
    for name in models.names():
        builder = models.get(name)
        switches = builder.keywords if isinstance(builder, partial) else {}
        kind = getattr(builder, "func", builder), *(v for v in switches.values() if isinstance(v, bool | str))
        families.setdefault(kind, []).append(name)
    return sorted(name for family in families.values() for name in sorted(family, key=_weights)[:2])


def _weights(name: str) -> int:
    with torch.device("meta"):
        return count_params(build(name, num_classes=7, input_shape=(3, 32, 32), seed=0))
