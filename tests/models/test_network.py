"""Networks as a family makes them: shape, size, state, copies."""

import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from pdsearch.errors import ConfigError
from pdsearch.models import (
    build,
    copied,
    copied_whole,
    count_flops,
    latency,
    load_tensors,
    state_tensors,
    with_plain_weights,
)
from pdsearch.models.network import Network, StagedNetwork


class Times(nn.Module):
    """Multiplies, and counts how often it was asked."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.calls = factor, 0

    def forward(self, maps: Tensor) -> Tensor:
        self.calls += 1
        return maps * self.factor


IMAGES = torch.ones(1, 2, 4, 4)


def test_a_network_has_to_show_its_features() -> None:
    with pytest.raises(TypeError, match="features"):
        Network()  # type: ignore[abstract]


def test_features_are_the_stages_in_order_then_what_the_classifier_sees() -> None:
    halved = nn.Sequential(nn.MaxPool2d(2), Times(5))
    network = StagedNetwork([Times(3), halved], nn.Linear(2, 3), stem=Times(2), head=Times(7))
    features = network.features(IMAGES)
    assert list(features) == ["stage1", "stage2", "pooled"]
    assert torch.equal(features["stage1"], torch.full((1, 2, 4, 4), 6.0))
    assert torch.equal(features["stage2"], torch.full((1, 2, 2, 2), 30.0))
    assert torch.equal(features["pooled"], torch.full((1, 2), 210.0))


def test_logits_run_the_trunk_once() -> None:
    stage, classifier = Times(3), nn.Linear(2, 3)
    logits = StagedNetwork([stage], classifier)(IMAGES)
    assert torch.equal(logits, classifier(torch.full((1, 2), 3.0)))
    assert stage.calls == 1


def test_flops_of_attention_are_counted_though_torch_fuses_it() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    projections = 2 * 8 * (3 * 16 * 16 + 16 * 16 + 2 * 16 * 32)
    assert count_flops(layer, (8, 16)) >= projections


@pytest.mark.parametrize(("gates", "kind"), [(1, nn.RNN), (3, nn.GRU), (4, nn.LSTM)])
def test_flops_of_fused_recurrent_layers_are_those_of_their_matrices(gates: int, kind: type[nn.RNN]) -> None:
    steps = 5 * 2 * gates * 2 * ((8 + 16) * 16 + (32 + 16) * 16)  # Two layers in two directions.
    assert count_flops(kind(8, 16, 2, batch_first=True, bidirectional=True), (5, 8)) == steps


class Products(nn.Module):
    """A bilinear layer, and a matrix times a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.vector = nn.Bilinear(8, 8, 5), nn.Parameter(torch.ones(5))

    def forward(self, rows: Tensor) -> Tensor:
        return torch.mv(self.layer(rows, rows), self.vector)


def test_flops_of_bilinear_layers_and_of_products_with_a_vector_are_counted() -> None:
    assert count_flops(Products(), (8,)) == 2 * 5 * 8 * 8 + 2 * 5


class Asking(nn.Module):
    """A layer that is given a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.layer = nn.Parameter(torch.ones(1, 1, 4)), nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        answer: Tensor = self.layer(self.query.expand(len(images), -1, -1))
        return answer


def test_flops_are_counted_of_layers_that_are_given_a_parameter() -> None:
    model = Asking()
    assert count_flops(model, (3, 8, 8)) == 2 * 4 * 2
    assert model.query.requires_grad


def test_flops_of_a_known_network() -> None:
    model = build("resnet56", num_classes=10, input_shape=(3, 32, 32), seed=0)
    # 125.49 million multiply-adds without shortcuts (He et al.'s form), 0.26 million in the two projections.
    assert count_flops(model, (3, 32, 32)) == pytest.approx(2 * 125.75e6, rel=1e-3)


class Centred(nn.Module):
    """Subtracts the mean of the first inputs that it is shown, as activation normalisation does."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False
        self.register_buffer("mean", torch.ones(4))

    def forward(self, maps: Tensor) -> Tensor:
        if not self.seen:
            self.seen, self.mean = True, maps.mean((0, 2, 3))
        return maps - self.mean[:, None, None]


def test_measuring_leaves_the_network_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4).eval(), Centred())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    count_flops(model, (3, 8, 8))
    assert latency(model, (3, 8, 8), runs=3) > 0
    assert [module.training for module in model] == [True, True, False, True]
    assert not model[-1].seen
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


class Extra(nn.Linear):
    """A layer with a state that is no tensor."""

    def __init__(self, value: Any) -> None:
        super().__init__(2, 2)
        self.value = value

    def get_extra_state(self) -> Any:
        return self.value

    def set_extra_state(self, state: Any) -> None:
        self.value = state


@pytest.mark.parametrize(
    "value", [{"steps": 3, "names": ["a"]}, None, torch.arange(3), torch.tensor([80, 75, 3])]
)
def test_an_extra_state_is_stored_as_bytes_and_comes_back(value: Any) -> None:
    other = Extra("another")
    stored = state_tensors(Extra(value))
    assert all(isinstance(tensor, torch.Tensor) for tensor in stored.values())
    load_tensors(other, stored)
    assert torch.equal(other.value, value) if isinstance(value, torch.Tensor) else other.value == value


def test_an_extra_state_that_only_code_could_read_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^_extra_state, of class Identity, cannot be stored") as caught:
        state_tensors(Extra(nn.Identity()))
    assert caught.value.hint


def test_layers_that_read_the_version_of_a_state_dict_are_loaded() -> None:
    one, other = (torchvision.models.mnasnet0_5(num_classes=3) for _ in range(2))
    load_tensors(other, state_tensors(one))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


LAYERS: dict[str, Callable[[nn.Conv2d], object]] = {
    "weight norm": parametrizations.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "weight norm of the first kind": nn.utils.weight_norm,
    "spectral norm of the first kind": nn.utils.spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.3),
    "pruned twice": lambda layer: [prune.random_unstructured(layer, "weight", 0.3) for _ in range(2)],
    "pruned by channels": lambda layer: prune.ln_structured(layer, "weight", 0.5, 2, 0),
    "pruned bias": lambda layer: prune.l1_unstructured(layer, "bias", 0.3),
}


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_become_plain_and_the_network_stays_the_same(kind: str, frozen: bool) -> None:
    layer, image = nn.Conv2d(2, 4, 3), torch.rand(2, 2, 5, 5)
    LAYERS[kind](layer)
    network = nn.Sequential(layer, nn.Flatten(), nn.Linear(36, 2))
    network(image).sum().backward()  # Old norms keep what a pass computed.
    for weight in layer.parameters():
        weight.requires_grad_(not frozen)
    plain, other = (with_plain_weights(copied(network)) for _ in range(2))
    assert plain.training
    with torch.no_grad():
        assert torch.equal(plain.eval()(image), network.eval()(image))
    first = plain.get_submodule("0")
    assert {name: weight.requires_grad for name, weight in first.named_parameters()} == dict.fromkeys(
        ("weight", "bias"), not frozen
    )
    assert not list(first.named_buffers())
    other.load_state_dict(plain.state_dict())


class Hooked(nn.Module):
    """Computes with what a hook keeps."""

    def __init__(self, bound: bool) -> None:
        super().__init__()
        self.body, self.last = nn.Linear(2, 2), nn.Linear(2, 2)
        self.body.register_forward_hook(self.keep if bound else lambda *seen: self.keep(*seen))

    def keep(self, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        self.kept = output

    def forward(self, images: Tensor) -> Tensor:
        self.body(images)
        logits: Tensor = self.last(self.kept)
        return logits


def with_attribute(make: Callable[[nn.Sequential], object]) -> nn.Module:
    network = nn.Sequential(nn.Linear(2, 2))
    vars(network)["own"] = make(network)
    return network


@pytest.mark.parametrize(
    ("network", "whole"),
    [
        (Hooked(bound=True), True),
        (Hooked(bound=False), False),
        (with_attribute(lambda net: weakref.ref(net[0])), False),
        (with_attribute(lambda net: [{"self": net}]), True),
        (with_attribute(lambda _: threading.Lock()), False),
        (with_attribute(lambda net: {"maps": [net[0].get_parameter("weight") * 2]}), True),
        (nn.LSTM(2, 2), True),
    ],
)
def test_what_a_copy_would_share_with_its_original_is_seen(network: nn.Module, whole: bool) -> None:
    if isinstance(network, Hooked):
        network(torch.rand(1, 2))
    assert (copied_whole(network) is not None) is whole
    assert copied(network).state_dict().keys() == network.state_dict().keys()
