"""A folded network answers as the network does, and the network itself stays as it was."""

import pytest
import torch
from torch import nn

from pdsearch.models import Network, build, folded, models

SLOW = {"vgg19dbl_bn"}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trained(name: str) -> nn.Module:
    """A network whose batch normalisation does something."""
    model = build(name, num_classes=7, input_shape=(3, 32, 32), seed=0).eval()
    random = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=random)  # type: ignore[union-attr]
    return model


def count(model: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in model.modules())


@pytest.mark.parametrize("name", sorted(set(models) - SLOW))
def test_every_network_answers_the_same(name: str) -> None:
    model = trained(name)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    short = folded(model)
    assert isinstance(model, Network)
    assert isinstance(short, Network)
    with torch.no_grad():
        ours, theirs = model.features(images), short.features(images)
    assert list(ours) == list(theirs)
    for stage, maps in ours.items():
        torch.testing.assert_close(theirs[stage], maps, rtol=1e-4, atol=1e-4 * float(maps.abs().max()))


@pytest.mark.parametrize("name", ["convnet_l", "resnet20", "vgg11_bn"])
def test_nothing_is_left_to_normalise_after_convolutions(name: str) -> None:
    assert count(folded(trained(name)), nn.BatchNorm2d) == 0


def test_the_network_itself_is_left_alone() -> None:
    model = trained("resnet8").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    short = folded(model)
    assert model.training
    assert not short.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_is_not_certain_is_not_folded() -> None:
    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)

    crossed = nn.Sequential(Crossed(), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    assert count(folded(crossed), nn.BatchNorm2d) == 2
