"""A strided 1x1 convolution gives torch's bits, and its gradient keeps the order of the maps."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pdsearch.models.thin import Pointwise, every

SHAPES = [(16, 32, 8, 2), (13, 29, 16, 2), (16, 32, 9, 2), (16, 32, 9, 3), (16, 32, 8, 1)]

ORDERS = [torch.channels_last, torch.contiguous_format]


def _maps(
    size: int, order: torch.memory_format, *, channels: int = 16, kind: torch.dtype = torch.bfloat16
) -> Tensor:
    maps = torch.randn(37, channels, size, size, generator=torch.Generator().manual_seed(0)).relu()
    return maps.to(kind).to(memory_format=order).requires_grad_()


def _trained(layer: nn.Conv2d, maps: Tensor, kind: torch.dtype) -> list[Tensor]:
    layer.weight.grad = maps.grad = None
    with torch.autocast("cpu", kind, enabled=kind == torch.bfloat16):
        answers = layer(maps)
    answers.square().sum().backward()
    assert maps.grad is not None
    assert layer.weight.grad is not None
    return [answers.detach(), maps.grad, layer.weight.grad]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("inputs", "outputs", "size", "stride"), SHAPES)
def test_outputs_and_gradients_are_those_of_the_plain_convolution(
    inputs: int, outputs: int, size: int, stride: int, kind: torch.dtype
) -> None:
    ours, plain = Pointwise(inputs, outputs, stride), nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    plain.load_state_dict(ours.state_dict())
    maps = _maps(size, torch.channels_last, channels=inputs, kind=kind)
    for mine, theirs in zip(_trained(ours, maps, kind), _trained(plain, maps, kind), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("order", ORDERS)
def test_maps_and_gradient_keep_their_order(order: torch.memory_format) -> None:
    maps = _maps(8, order)
    thinned = every(maps, 2)
    assert torch.equal(thinned, maps[:, :, ::2, ::2])
    assert thinned.is_contiguous(memory_format=order)
    gradients: list[Tensor] = []
    maps.register_hook(gradients.append)
    thinned.square().sum().backward()
    assert gradients[0].is_contiguous(memory_format=order)


def test_gradients_can_be_differentiated_again() -> None:
    maps = torch.randn(2, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: every(x, 2) ** 3, maps)
    assert torch.autograd.gradgradcheck(lambda x: every(x, 2) ** 3, maps)


class Names(TorchDispatchMode):
    """Notes the names of the operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("training", "kind", "size", "taken"),
    [
        (True, torch.bfloat16, 8, True),
        (False, torch.bfloat16, 8, False),
        (True, torch.float32, 8, False),
        (True, torch.bfloat16, 9, False),
    ],
)
def test_positions_are_taken_out_where_it_pays_and_no_bit_changes(
    training: bool, kind: torch.dtype, size: int, taken: bool
) -> None:
    layer, maps = Pointwise(16, 32, 2).to(kind).train(training), _maps(size, torch.channels_last, kind=kind)
    with Names() as names:
        layer(maps)
    assert ("clone" in names.seen) == taken
