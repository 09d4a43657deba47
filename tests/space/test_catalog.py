from functools import partial
from typing import Any

from torch import nn

from pdsearch.registry import Registry
from pdsearch.space.catalog import Catalog, option_names, registered


def builder(*, num_classes: int, channels: int, image_size: int, depth: int = 1) -> nn.Module:
    return nn.Linear(channels * image_size * depth, num_classes)


def anything(**options: Any) -> nn.Module:
    return builder(**options)


def test_options_are_what_a_builder_takes_beyond_the_data() -> None:
    assert option_names(builder) == frozenset({"depth"})
    assert option_names(partial(builder, depth=2)) == frozenset({"depth"})
    assert option_names(anything) is None


def test_the_catalog_holds_what_is_registered() -> None:
    from pdsearch.models.registry import models

    found = registered()
    assert isinstance(models, Registry)
    assert isinstance(found, Catalog)
    assert sorted(found.models) == models.names()
    assert {"magnitude", "random"} <= found.methods.keys()
    assert {"kd", "ce"} <= found.losses.keys()
    assert "digits" in found.sources
    assert "none" in found.augmentations
