"""Copies compute with their own weights, and weights computed from others become parameters of the same value."""

import threading
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from pdsearch.models import copied, copied_whole, with_plain_weights

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
