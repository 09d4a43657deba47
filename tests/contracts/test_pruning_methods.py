"""What every registered pruning method keeps to; a new file under methods/ is found by itself."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from pdsearch.pruning import Mask, PruningMethod, find_channels, kept_channels, prunable, prune_once, shrink
from pdsearch.pruning.registry import methods
from pdsearch.pruning.select import removed_count

IMAGE = torch.zeros(1, 3, 8, 8)


@pytest.fixture(params=sorted(methods))
def method(request: pytest.FixtureRequest) -> PruningMethod:
    return methods.get(request.param)


class Residual(nn.Module):
    """Everything a method may meet: stride, shortcut, groups, normalisation, dropout, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        self.body = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)
        )
        self.widen = nn.Sequential(nn.Conv2d(8, 12, 1, stride=2, bias=False), nn.BatchNorm2d(12))
        self.hidden = nn.Linear(12, 10)
        self.classifier = nn.Linear(10, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.stem(images))
        maps = torch.relu(self.widen(maps + self.body(maps)))
        logits: Tensor = self.classifier(torch.relu(self.hidden(maps.mean((2, 3)))))
        return logits


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = Residual()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)
    return net.train()


@pytest.fixture
def batches() -> list[tuple[Tensor, Tensor]]:
    generator = Generator().manual_seed(1)
    return [
        (torch.randn(6, 3, 8, 8, generator=generator), torch.randint(4, (6,), generator=generator))
        for _ in range(2)
    ]


def scores_of(method: PruningMethod, model: nn.Module, batches: Any, seed: int = 0) -> dict[str, Tensor]:
    data = batches if method.needs_data else ()
    return method.score(model, data, Generator().manual_seed(seed), method.params())


def test_scores_every_prunable_weight_with_finite_numbers(
    method: PruningMethod, model: nn.Module, batches: Any
) -> None:
    scores = scores_of(method, model, batches)
    weights = prunable(model)
    assert scores
    assert method.structured or scores.keys() == weights.keys()
    for name, score in scores.items():
        weight = weights[name]
        expected = weight.shape[:1] if method.structured else weight.shape
        assert score.shape == expected, name
        assert score.is_floating_point()
        assert bool(torch.isfinite(score).all()), name
        assert not score.requires_grad
        assert score.device == weight.device


def test_scores_tell_weights_apart(method: PruningMethod, model: nn.Module, batches: Any) -> None:
    if not method.removes:
        return
    scores = torch.cat([score.flatten() for score in scores_of(method, model, batches).values()])
    # Channels of a grouped convolution go by whole groups, and share their score.
    assert len(scores.unique()) > len(scores) // (3 if method.structured else 2)


def test_scores_depend_on_the_generator_alone(method: PruningMethod, model: nn.Module, batches: Any) -> None:
    torch.manual_seed(1)
    first = scores_of(method, model, batches)
    torch.manual_seed(2)
    second = scores_of(method, model, batches)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_global_generator_is_left_alone(method: PruningMethod, model: nn.Module, batches: Any) -> None:
    before = torch.get_rng_state()
    scores_of(method, model, batches)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_alone(
    method: PruningMethod, model: nn.Module, batches: Any, training: bool
) -> None:
    model.train(training)
    model.get_submodule("body").eval()
    next(model.parameters()).requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    state = copy.deepcopy(model.state_dict())
    flags = [module.training for module in model.modules()]
    inputs = [(images.clone(), labels.clone()) for images, labels in batches]
    scores_of(method, model, batches)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == flags
    assert all(bool((p.grad == 0.5).all()) for p in model.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == [False] + [True] * (
        len(list(model.parameters())) - 1
    )
    assert all(not module._forward_hooks and not module._backward_hooks for module in model.modules())
    assert all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(inputs, batches, strict=True)
    )


def test_scores_work_where_gradients_are_off(method: PruningMethod, model: nn.Module, batches: Any) -> None:
    expected = scores_of(method, model, batches)
    with torch.no_grad():
        scores = scores_of(method, model, batches)
    assert all(torch.equal(scores[name], expected[name]) for name in expected)


def test_rounds_of_pruning_are_exact_and_nest(method: PruningMethod, model: nn.Module, batches: Any) -> None:
    mask, whole = None, copy.deepcopy(model)
    scored = scores_of(method, model, batches).keys()
    for sparsity in (0.2, 0.36, 0.59):
        fresh = prune_once(
            model,
            method=method,
            params=method.params(),
            batches=batches,
            generator=Generator().manual_seed(0),
            sparsity=sparsity,
            within=mask,
            whole=whole,
        )
        if method.structured:
            without_channels(model, whole, fresh, mask)
            ties = [
                tie for tie in find_channels(whole, IMAGE).ties if scored & {part.name for part in tie.parts}
            ]
            left = sum(len(channels) for channels in kept_channels(fresh, tuple(ties)).values())
            total = sum(tie.size for tie in ties)
            assert left == total - removed_count(total, sparsity)
        else:
            fresh.apply(model)
            wanted = sparsity if method.removes else 0
            assert fresh.sparsity == pytest.approx(wanted, abs=0.5 / fresh.total + 1e-12)
        assert mask is None or all(bool((fresh[name] <= mask[name]).all()) for name in fresh)
        mask = fresh


def without_channels(model: nn.Module, whole: nn.Module, mask: Mask, before: Mask | None) -> None:
    """Take the channels out; every tie keeps one, and what the mask counts is what is there."""
    channels = find_channels(whole, IMAGE)
    ties = channels.ties
    kept = kept_channels(mask, ties)
    assert all(kept.values())
    shrink(model, channels, kept=kept, before=None if before is None else kept_channels(before, ties))
    assert sum(weight.numel() for weight in prunable(model).values()) == mask.remaining


def test_parameters_have_help_and_ranges(method: PruningMethod) -> None:
    method.params()
    for field in dataclasses.fields(method.params):
        assert field.metadata.get("help"), field.name
        bounded = field.metadata["low"] is not None and field.metadata["high"] is not None
        assert bounded or field.metadata["choices"] is not None, field.name


def test_the_docstring_says_when_to_use_it_what_it_costs_and_its_source(method: PruningMethod) -> None:
    for section in ("When:", "Cost:", "Source:"):
        assert f"\n    {section}\n        " in (method.score.__doc__ or ""), section
