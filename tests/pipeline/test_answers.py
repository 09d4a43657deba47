"""What leaves a network is float32, and of its features only those that are asked for."""

import pytest
import torch

from pdsearch.errors import ConfigError
from pdsearch.models import build
from pdsearch.pipeline.networks import outputs, shapes

NETWORK = build("convnet_s", num_classes=10, input_shape=(1, 8, 8), seed=0).eval()
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_logits_alone_are_what_the_network_answers() -> None:
    said = outputs(NETWORK, IMAGES, ())
    assert torch.equal(said.logits, NETWORK(IMAGES))
    assert not said.features


def test_features_by_pattern_with_the_same_logits() -> None:
    said = outputs(NETWORK, IMAGES, ("stage*",))
    assert torch.equal(said.logits, NETWORK(IMAGES))
    assert said.features
    assert all(name.startswith("stage") for name in said.features)
    assert shapes(said) == {name: tuple(maps[0].shape) for name, maps in said.features.items()}


def test_float32_leaves_a_network_in_16_bits() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        said = outputs(NETWORK, IMAGES, ("pooled",))
    assert {said.logits.dtype, said.features["pooled"].dtype} == {torch.float32}


def test_a_feature_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs features"):
        outputs(NETWORK, IMAGES, ("attention",))
