import torch
from torch import Generator, nn

from pdsearch.pruning.methods.prue import score_prue
from pdsearch.registry import NoParams


def test_is_weight_times_slope_of_the_spread_by_finite_differences() -> None:
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    batches = [(torch.randn(4, 3), torch.randint(2, (4,))) for _ in range(3)]
    images, labels = torch.cat([x for x, _ in batches]).double(), torch.cat([y for _, y in batches])

    def confidence(weight: torch.Tensor) -> torch.Tensor:
        logits = images @ weight.T + net.bias.detach().double()
        return torch.softmax(logits, 1)[torch.arange(len(labels)), labels]

    start = net.weight.detach().double()
    now = confidence(start)
    means = torch.stack([now[labels == c].mean() for c in (0, 1)])
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for row in range(2):
        for column in range(3):
            step = torch.zeros(2, 3, dtype=torch.float64)
            step[row, column] = 1e-6
            up, down = ((means[labels] - confidence(start + s * step)).abs().sum() for s in (1, -1))
            expected[row, column] = (start[row, column] * (up - down) / 2e-6).abs()
    scores = score_prue(net, batches, Generator(), NoParams())["weight"]
    torch.testing.assert_close(scores.double(), expected, rtol=1e-4, atol=1e-6)


def test_a_class_with_equal_answers_has_no_spread() -> None:
    net = nn.Linear(2, 2)
    image = torch.ones(3, 2)
    scores = score_prue(net, [(image, torch.zeros(3, dtype=torch.int64))], Generator(), NoParams())
    assert float(scores["weight"].max()) < 1e-6
