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


def test_removing_the_lowest_weakens_the_gradient_least() -> None:
    """The score predicts the change of half the squared norm when the weight shrinks a little."""
    torch.manual_seed(1)
    net = nn.Linear(4, 3, bias=False).double()
    images, labels = torch.randn(20, 4, dtype=torch.float64), torch.randint(3, (20,))

    def half_flow(weight: Tensor) -> float:
        leaf = weight.detach().clone().requires_grad_()
        loss = functional.cross_entropy(images @ leaf.T, labels)
        (gradient,) = torch.autograd.grad(loss, leaf)
        return float(gradient.square().sum()) / 2

    scores = score_grasp(net, [(images, labels)], Generator(), GraspParams(temperature=1.0))["weight"]
    for index in ((0, 0), (1, 3), (2, 1)):
        shrunk = net.weight.detach().clone()
        shrunk[index] *= 1 - 1e-6
        lost = (half_flow(net.weight) - half_flow(shrunk)) / 1e-6
        torch.testing.assert_close(lost, float(scores[index]), rtol=1e-4, atol=1e-9)


def test_running_statistics_know_nothing_yet_and_do_not_count() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    batches = [(torch.randn(8, 3), torch.randint(2, (8,)))]
    first = score_grasp(net, batches, Generator(), GraspParams())
    net.get_buffer("1.running_mean").fill_(3.0)
    second = score_grasp(net, batches, Generator(), GraspParams())
    assert all(torch.equal(first[name], second[name]) for name in first)
