from functools import partial
from typing import Any

from torch import nn

from pdsearch.config.catalog import Catalog, options_in, registered
from pdsearch.registry import Registry
from pdsearch.user_code import Options


def builder(*, num_classes: int, channels: int, image_size: int, depth: int = 1) -> nn.Module:
    return nn.Linear(channels * image_size * depth, num_classes)


def anything(**options: Any) -> nn.Module:
    return builder(**options)


def test_options_are_what_a_builder_takes_beyond_the_data() -> None:
    assert options_in(builder) == Options({"depth": int})
    assert options_in(partial(builder, depth=2)) == Options({"depth": int})
    assert options_in(anything) == Options(others=True)


def test_the_catalog_holds_what_is_registered() -> None:
    from pdsearch.models.registry import models

    found = registered()
    assert isinstance(models, Registry)
    assert isinstance(found, Catalog)
    assert sorted(found.models) == models.names()
    assert {"magnitude", "random"} <= found.methods.keys()
    assert {"kd", "ce"} <= found.losses.keys()
    assert found.sources["digits"] == Options()
    assert found.sources["parquet"].types.items() >= {"label": str, "test": str}.items()
    assert "none" in found.augmentations
