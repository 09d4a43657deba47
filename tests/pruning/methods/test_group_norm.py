import pytest
import torch
import torch_pruning
from torch import Generator

from pdsearch.errors import TrialError
from pdsearch.pruning.methods.group_norm import GroupNormParams, score_group_norm
from tests.pruning.methods.reference import Plain, reference_scores

IMAGE = torch.zeros(1, 3, 5, 5)


@pytest.mark.parametrize("power", [1, 2])
def test_is_torch_pruning_s_group_magnitude(power: int) -> None:
    torch.manual_seed(0)
    net = Plain()
    torch.nn.init.uniform_(net.norm.weight, 0.5, 1.5)
    batches = [(IMAGE, torch.zeros(1, dtype=torch.int64))]
    scores = score_group_norm(net, batches, Generator(), GroupNormParams(power))
    expected = reference_scores(net, torch_pruning.importance.GroupMagnitudeImportance(p=power), IMAGE)
    assert len(expected) == 3
    for name, reference in expected.items():
        torch.testing.assert_close(scores[name], reference.detach())
        assert torch.equal(scores[name].argsort(), reference.argsort())
    assert torch.equal(scores["conv.weight"], scores["back.weight"])


def test_without_an_image_the_trial_fails() -> None:
    with pytest.raises(TrialError, match="needs the shape of an image"):
        score_group_norm(Plain(), (), Generator(), GroupNormParams())
