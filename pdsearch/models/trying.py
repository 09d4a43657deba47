"""Can a model be built with its options, whatever the images are? Tried without memory, or looked up."""

import torch

from pdsearch.dotted import is_dotted
from pdsearch.models.registry import PREFIX, build, lasting
from pdsearch.specs import Params

__all__ = ["try_options"]

LARGE = 2**16
"""Pixels; no family finds such images too small."""


def try_options(name: str, options: Params) -> None:
    """Refuse options of which a model cannot be built; code of the user's own is not run for it.

    Raises:
        ConfigError: It cannot; `where` is the option, as options.NAME, if one is to blame.
    """
    if is_dotted(name) or not options:
        return
    if name.startswith(PREFIX):
        lasting(name, options)
        return
    with torch.device("meta"):
        build(name, num_classes=2, channels=3, image_size=LARGE, seed=0, options=options)
