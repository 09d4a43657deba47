"""Data sets: sources, splits, augmented views.

Importing this package loads no torch; the names that need it are loaded when they are first used. The
registries are `pdsearch.data.registry.sources` and `.augmentations`: here these names are packages.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pdsearch.data.registry import Augmentation, Images, Mixing, RawData, Source

if TYPE_CHECKING:
    from pdsearch.data.dataset.dataset import (
        Dataset,
        Split,
        from_tensors,
        prepare,
        store,
        to_meta,
        to_tensors,
    )
    from pdsearch.data.dataset.views import Views, centre, normalise

__all__ = [
    "Augmentation",
    "Dataset",
    "Images",
    "Mixing",
    "RawData",
    "Source",
    "Split",
    "Views",
    "centre",
    "from_tensors",
    "normalise",
    "prepare",
    "store",
    "to_meta",
    "to_tensors",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "views" if name in ("Views", "centre", "normalise") else "dataset"
    return getattr(import_module(f"{__name__}.dataset.{module}"), name)
