import pytest
import torch
import torch_pruning
from torch import Generator, nn
from torch.nn import functional

from pdsearch.errors import TrialError
from pdsearch.pruning.methods.group_taylor import score_group_taylor
from pdsearch.registry import NoParams
from tests.pruning.methods.reference import Plain, reference_scores


def test_is_torch_pruning_s_group_taylor() -> None:
    torch.manual_seed(0)
    net, images, labels = Plain().eval(), torch.randn(10, 3, 5, 5), torch.randint(4, (10,))
    scores = score_group_taylor(
        net, [(images[:4], labels[:4]), (images[4:], labels[4:])], Generator(), NoParams()
    )
    assert all(parameter.grad is None for parameter in net.parameters())
    torch.autograd.backward(functional.cross_entropy(net(images), labels))
    expected = reference_scores(net, torch_pruning.importance.GroupTaylorImportance(), images[:1])
    assert len(expected) == 3
    for name, reference in expected.items():
        torch.testing.assert_close(scores[name], reference.detach(), rtol=1e-4, atol=1e-6)
        assert torch.equal(scores[name].argsort(), reference.argsort())
    assert torch.equal(scores["conv.weight"], scores["back.weight"])


def test_a_weight_of_two_layers_counts_once() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4, 2)
    )
    model[2].weight = model[1].weight
    batches = [(torch.randn(2, 3, 1, 1), torch.tensor([0, 1]))]
    scores = score_group_taylor(model, batches, Generator(), NoParams())
    assert all(bool(score.isfinite().all()) for score in scores.values())


def test_without_images_the_trial_fails() -> None:
    with pytest.raises(TrialError, match="needs images"):
        score_group_taylor(Plain(), (), Generator(), NoParams())
