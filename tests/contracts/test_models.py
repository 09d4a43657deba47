"""Every family of networks keeps the contract, found by itself."""

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from pdsearch.models import Network, build
from tests.contracts.families import smallest


def made(name: str, seed: int = 0) -> nn.Module:
    return build(name, num_classes=7, input_shape=(3, 32, 32), seed=seed)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", smallest())
def test_shapes_and_features(name: str) -> None:
    model = made(name).eval()
    assert isinstance(model, Network)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = model.features(images), model(images)
    stages = [key for key in features if key != "pooled"]
    assert stages == [f"stage{number + 1}" for number in range(len(stages))]
    assert all(features[stage].dim() == 4 for stage in stages)
    sizes = [features[stage].shape[-1] for stage in stages]
    assert sizes == sorted(sizes, reverse=True)
    assert features["pooled"].shape == (2, model.classifier.in_features)
    assert logits.shape == (2, 7)
    assert torch.equal(model.classifier(features["pooled"]), logits)


@pytest.mark.parametrize("name", smallest())
def test_weights_depend_on_the_seed_alone_and_survive_safetensors(name: str) -> None:
    before = torch.random.get_rng_state()
    one = made(name)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(3)
    assert same(one, made(name))
    other = made(name, seed=1)
    assert not same(one, other)
    other.load_state_dict(load(save(one.state_dict())))
    assert same(one, other)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("name", smallest())
def test_every_weight_gets_a_gradient(name: str) -> None:
    model = made(name).train()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.autograd.backward(model(images).square().sum())
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []
