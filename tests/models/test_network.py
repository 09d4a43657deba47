"""A network shows the last map of each stage, and its logits are its classifier's answer to `pooled`."""

import pytest
import torch
from torch import Tensor, nn

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


def test_stem_and_head_may_be_left_out() -> None:
    features = StagedNetwork([Times(3)], nn.Linear(2, 3)).features(IMAGES)
    assert features["pooled"].tolist() == [[3.0, 3.0]]


def test_logits_run_the_trunk_once() -> None:
    stage, classifier = Times(3), nn.Linear(2, 3)
    logits = StagedNetwork([stage], classifier)(IMAGES)
    assert torch.equal(logits, classifier(torch.full((1, 2), 3.0)))
    assert stage.calls == 1


def test_every_part_is_trained() -> None:
    stem, head = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
    network = StagedNetwork([nn.Conv2d(2, 2, 1)], nn.Linear(2, 3), stem=stem, head=head)
    names = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    assert names == {"stem", "stages.0", "head", "classifier"}
