"""A killed training repeats one checkpoint interval of its work at most, and ends as if nothing had happened.

A step takes one second of an injected clock, and a write what a test says; so that the bound holds on any machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import Checkpoint, Engine, EpochReport, fit
from pdsearch.training.checkpoint import LONGEST_S, SHARE
from tests.training.objectives import hard_labels

Build = Callable[..., nn.Module]
EPOCHS, STEPS = 3, 12
RECIPE = Recipe(epochs=EPOCHS, lr=0.05, batch_size=4, ema=0.9, select="best_val")


class Killed(BaseException):
    """What no handler catches."""


@dataclass
class World:
    """Seconds that pass by steps and writes alone; after so many steps in all, every process dies.

    Args:
        views: Training images.
        write_s: Seconds that a write takes.
        dies_after: Steps.
    """

    views: Any
    write_s: float = 0.0
    dies_after: int = 10**9
    now: float = 0.0
    steps: int = 0

    def train(self, model: nn.Module, folder: Path, *, interval: float) -> list[EpochReport]:
        """Train in a process of its own, as it were."""
        checkpoint = Slow(folder, interval_s=interval, clock=lambda: self.now)
        checkpoint.world = self
        reports = fit(
            model,
            views=self.views,
            objective=self._step,
            recipe=RECIPE,
            seed=3,
            evaluate=lambda network: float(next(network.parameters()).detach().abs().sum().sin().abs()),
            engine=Engine(threads=1),
            checkpoint=checkpoint,
        )
        return [replace(report, seconds=0.0) for report in reports]

    def _step(self, model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        if self.steps == self.dies_after:
            raise Killed
        self.steps += 1
        self.now += 1
        return hard_labels(self.views.labels)(model, images, index, epoch)


class Slow(Checkpoint):
    """A checkpoint whose writes take time on the world's clock."""

    world: World

    def _replace(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        super()._replace(tensors, metadata)
        self.world.now += self.world.write_s


@pytest.fixture
def shown(make: Callable[[int], Any]) -> Any:
    return make(4 * STEPS)


@pytest.mark.parametrize(
    ("interval", "write_s", "at_most"), [(5, 0.0, 5), (20, 0.0, 20), (5, 0.4, 8), (5, 100.0, 36)]
)
def test_killed_after_any_step_it_repeats_an_interval_at_most(
    interval: float, write_s: float, at_most: int, shown: Any, build: Build, tmp_path: Path
) -> None:
    assert at_most == min(max(interval, min(write_s / SHARE, LONGEST_S)), EPOCHS * STEPS)
    whole = build(dropout=0.3)
    expected = World(shown).train(whole, tmp_path / "whole", interval=interval)
    for killed in range(EPOCHS * STEPS):
        folder = tmp_path / f"{killed}"
        world = World(shown, write_s, dies_after=killed)
        with pytest.raises(Killed):
            world.train(build(dropout=0.3), folder, interval=interval)
        model, world.dies_after = build(dropout=0.3), 10**9
        again = world.train(model, folder, interval=interval)
        assert again == expected
        assert world.steps - EPOCHS * STEPS <= at_most, f"repeated after a kill at step {killed}"
        for name, tensor in whole.state_dict().items():
            assert torch.equal(model.state_dict()[name], tensor), (killed, name)


def test_killed_again_and_again_it_still_ends(shown: Any, build: Build, tmp_path: Path) -> None:
    world, lives = World(shown), 0
    while lives < EPOCHS * STEPS:
        world.dies_after = world.steps + 7
        try:
            world.train(build(), tmp_path, interval=5)
            break
        except Killed:
            lives += 1
    assert lives == pytest.approx(EPOCHS * STEPS / 5, abs=2)


def test_without_a_checkpoint_nothing_is_kept_and_all_is_the_same(
    shown: Any, build: Build, recipe: Recipe, engine: Engine, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"objective": hard_labels(shown.labels), "seed": 3, "evaluate": lambda _: 0.5}
    plain, kept = build(), build()
    reports = [
        list(fit(model, views=shown, recipe=recipe, engine=engine, checkpoint=checkpoint, **settings))
        for model, checkpoint in ((plain, None), (kept, Checkpoint(tmp_path, interval_s=0)))
    ]
    assert [r.loss for r in reports[0]] == [r.loss for r in reports[1]]
    assert all(map(torch.equal, plain.state_dict().values(), kept.state_dict().values()))
