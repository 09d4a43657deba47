import pytest
import torch
from torch import Tensor, nn

from pdsearch.errors import TrialError
from pdsearch.pruning.gradients import loss_gradients, probe


def test_a_probe_is_a_copy_ready_for_gradients(net: nn.Module) -> None:
    next(net.parameters()).requires_grad_(False)
    twin = probe(net)
    assert all(p.requires_grad and p.grad is None for p in twin.parameters())
    assert not any(module.training for module in twin.modules())
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert float(next(net.parameters()).abs().max()) > 0


def test_batch_statistics_switch_normalisation_alone() -> None:
    twin = probe(nn.Sequential(nn.BatchNorm2d(2), nn.Dropout()), batch_statistics=True)
    assert [module.training for module in twin.children()] == [True, False]


def test_batches_sum_to_the_gradient_of_all_images(
    net: nn.Module, batches: list[tuple[Tensor, Tensor]]
) -> None:
    uneven = [(batches[0][0][:2], batches[0][1][:2]), *batches[1:]]
    twin = probe(net)
    total = torch.zeros(4, 8)
    for share, gradients in loss_gradients(twin, uneven):
        total += share * gradients["7.weight"]
    images, labels = (torch.cat(parts) for parts in zip(*uneven, strict=True))
    ((_, whole),) = loss_gradients(twin, [(images, labels)])
    torch.testing.assert_close(total, whole["7.weight"])


def test_no_images_fail_the_trial(net: nn.Module) -> None:
    with pytest.raises(TrialError, match=r"needs images"):
        next(loss_gradients(probe(net), ()))
