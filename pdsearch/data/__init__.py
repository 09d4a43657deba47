"""Data sets: sources, splits, augmented views; importing this package loads no torch.

The registries are `pdsearch.data.registry.sources` and `.augmentations`: here these names are packages.
"""

from pdsearch.data.registry import Augmentation, Images, Mixing, RawData, Source
