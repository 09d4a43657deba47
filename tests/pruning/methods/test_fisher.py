import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.pruning.methods.fisher import FisherParams, score_fisher


def data(seed: int = 0, images: int = 8) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(seed)
    return nn.Linear(3, 4).double(), torch.randn(images, 3, dtype=torch.float64), torch.randint(4, (images,))


def test_is_half_the_weight_squared_times_the_mean_squared_gradient_of_single_images() -> None:
    net, images, labels = data()
    wrong = torch.softmax(net(images), 1) - functional.one_hot(labels, 4)
    squares = (wrong[:, :, None] * images[:, None, :]).square().mean(0)  # (images, out, in) -> (out, in)
    expected = (net.get_parameter("weight").square() * squares / 2).detach()
    batches = [(images[:3], labels[:3]), (images[3:], labels[3:])]
    torch.testing.assert_close(score_fisher(net, batches, Generator(), FisherParams())["weight"], expected)


def test_labels_of_the_model_give_the_curvature_of_cross_entropy() -> None:
    """For a linear classifier the true Fisher is the Hessian; its diagonal is p (1 - p) x^2."""
    net, images, labels = data()
    many = images.repeat(400, 1)
    scores = score_fisher(
        net, [(many, labels.repeat(400))], Generator().manual_seed(0), FisherParams(labels="model")
    )["weight"]
    p = torch.softmax(net(images), 1)
    diagonal = ((p * (1 - p))[:, :, None] * images.square()[:, None, :]).mean(0)
    torch.testing.assert_close(
        scores, (net.get_parameter("weight").square() * diagonal / 2).detach(), rtol=0.15, atol=1e-3
    )


def test_labels_of_the_model_come_from_the_generator() -> None:
    net, images, labels = data()
    params = FisherParams(labels="model")
    first, again, other = (
        score_fisher(net, [(images, labels)], Generator().manual_seed(seed), params)["weight"]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
