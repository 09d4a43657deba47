import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.pruning.methods.grasp import GraspParams, score_grasp


def test_is_the_weight_times_hessian_times_gradient() -> None:
    """Against the whole Hessian of a small network, entry by entry."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, 2, bias=False)).double()
    images, labels = torch.randn(10, 3, dtype=torch.float64), torch.randint(2, (10,))
    scores = score_grasp(
        net, [(images[:5], labels[:5]), (images[5:], labels[5:])], Generator(), GraspParams(temperature=2.0)
    )

    def loss(flat: Tensor) -> Tensor:
        first, second = flat[:12].view(4, 3), flat[12:].view(2, 4)
        return functional.cross_entropy(torch.tanh(images @ first.T) @ second.T / 2.0, labels)

    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    gradient = torch.autograd.functional.jacobian(loss, flat)
    hessian = torch.autograd.functional.hessian(loss, flat)
    expected = flat * (hessian @ gradient)
    torch.testing.assert_close(
        torch.cat([s.flatten() for s in scores.values()]), expected, rtol=1e-9, atol=1e-15
    )


def test_running_statistics_know_nothing_yet_and_do_not_count() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    batches = [(torch.randn(8, 3), torch.randint(2, (8,)))]
    first = score_grasp(net, batches, Generator(), GraspParams())
    net.get_buffer("1.running_mean").fill_(3.0)
    second = score_grasp(net, batches, Generator(), GraspParams())
    assert all(torch.equal(first[name], second[name]) for name in first)
