import torch
from torch import Generator, nn
from torch.nn import functional

from pdsearch.pruning.methods.taylor import score_taylor
from pdsearch.registry import NoParams


def test_is_the_mean_square_of_weight_times_gradient() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2).double()
    batches = [(torch.randn(4, 3, dtype=torch.float64), torch.randint(2, (4,))) for _ in range(3)]
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for images, labels in batches:
        wrong = torch.softmax(net(images), 1) - functional.one_hot(labels, 2)  # dL/dlogits, times the batch
        gradient = wrong.T @ images / 4
        expected += (net.weight * gradient).detach().square() / 3
    torch.testing.assert_close(score_taylor(net, batches, Generator(), NoParams())["weight"], expected)


def test_opposite_batches_do_not_cancel() -> None:
    linear = nn.Linear(2, 2, bias=False)
    nn.init.ones_(linear.weight)
    images = torch.tensor([[1.0, 0.0]])
    opposed = [(images, torch.tensor([0])), (images, torch.tensor([1]))]
    assert score_taylor(linear, opposed, Generator(), NoParams())["weight"].tolist() == [
        [0.25, 0.0],
        [0.25, 0.0],
    ]
