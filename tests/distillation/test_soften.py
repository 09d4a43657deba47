import torch

from pdsearch.distillation import Outputs
from pdsearch.distillation.softmax import divergence, log_softened, logit_pair, standardised


def logits(scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_standardised_rows_follow_the_official_code() -> None:
    z = logits()
    expected = (z - z.mean(dim=-1, keepdim=True)) / (1e-7 + z.std(dim=-1, keepdim=True))
    torch.testing.assert_close(standardised(z), expected, rtol=1e-12, atol=0)


def test_equal_logits_standardise_to_zero_with_a_finite_gradient() -> None:
    z = torch.full((2, 3), 5.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(standardised(z).square().sum(), z)
    assert torch.equal(standardised(z), torch.zeros(2, 3))
    assert bool(torch.isfinite(gradient).all())


def test_the_teacher_carries_no_gradient() -> None:
    ours, theirs = logit_pair(Outputs(logits().requires_grad_()), Outputs(logits().requires_grad_()))
    assert ours.requires_grad
    assert not theirs.requires_grad


def test_half_becomes_single_and_double_stays() -> None:
    ours, theirs = logit_pair(Outputs(logits().half()), Outputs(logits()))
    assert (ours.dtype, theirs.dtype) == (torch.float32, torch.float64)


def test_divergence_has_no_sign_and_is_zero_at_equality() -> None:
    p, q = log_softened(logits(), 2.0), log_softened(logits(scale=-2.0), 2.0)
    assert float(divergence(p, q)) > 0
    assert float(divergence(p, p)) == 0
    by_hand = sum(float(b.exp() * (b - a)) for a, b in zip(p.flatten(), q.flatten(), strict=True)) / 4
    assert abs(float(divergence(p, q)) - by_hand) < 1e-12
