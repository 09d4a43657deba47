"""Every family of networks stays in channels_last: one layer that leaves it makes those around it slower."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pdsearch.models import build
from pdsearch.specs import Params
from tests.contracts.families import smallest

KERNELS = ("convolution", "native_batch_norm", "threshold_backward")


class Watch(TorchDispatchMode):
    """Notes which kernels are given maps in another order."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen, self.wrong = 0, set[str]()

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name.startswith(KERNELS):
            maps = [arg for arg in args[:2] if isinstance(arg, Tensor) and min(arg.shape[1:], default=0) > 1]
            self.seen += len(maps)
            self.wrong |= {name for map_ in maps if map_.stride(1) != 1}  # Half of the channels is no break.
        return function(*args, **(kwargs or {}))


def _built(name: str, options: Params = ()) -> nn.Module:
    model = build(name, num_classes=4, input_shape=(3, 32, 32), seed=0, options=options)
    return model.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "options"), [*((name, ()) for name in smallest()), ("resnet8", (("shortcut", "pad"),))]
)
def test_maps_and_gradients_stay_channels_last(name: str, options: Params) -> None:
    images = torch.zeros(2, 3, 32, 32).to(memory_format=torch.channels_last)
    with Watch() as watch:
        _built(name, options)(images).sum().backward()
    assert watch.seen
    assert not watch.wrong
