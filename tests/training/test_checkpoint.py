"""Checkpoints: what they hold, how often they are written, and what is done with damaged ones."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.specs import Recipe
from pdsearch.training import checkpoint
from pdsearch.training.checkpoint import LONGEST_S, SHARE, Checkpoint, EpochReport
from pdsearch.training.device import Engine
from pdsearch.training.fit import fit
from tests.on_disk import on_disk
from tests.training.objectives import hard_labels

Build = Callable[..., nn.Module]
TENSORS = {
    "a": torch.arange(6).reshape(2, 3),
    "b": torch.tensor(2.5),
    "c": torch.zeros(0, dtype=torch.bfloat16),
}


def start(model: nn.Module, views: Any, recipe: Recipe, engine: Engine, folder: Path, **more: Any) -> Any:
    settings = {"seed": 3, "evaluate": evaluate, "checkpoint": Checkpoint(folder, interval_s=0), **more}
    return fit(
        model, views=views, objective=hard_labels(views.labels), recipe=recipe, engine=engine, **settings
    )


def evaluate(model: nn.Module) -> float:
    """Return a number that depends on the weights and has its highest value in the middle of a training."""
    return float(next(model.parameters()).detach().abs().sum().sin().abs())


def essence(reports: list[EpochReport]) -> list[EpochReport]:
    return [replace(report, seconds=0.0) for report in reports]


@pytest.mark.parametrize(
    ("select", "optimizer", "stop"),
    [("last", "sgd", 1), ("best_val", "sgd", 3), ("last", "adam", 4), ("best_val", "adamw", 1)],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    select: str,
    optimizer: str,
    stop: int,
    views: Any,
    build: Build,
    recipe: Recipe,
    engine: Engine,
    tmp_path: Path,
) -> None:
    chosen = replace(recipe, optimizer=optimizer, select=select, lr=0.01)
    whole, first, second = (build(dropout=0.3) for _ in range(3))
    expected = list(start(whole, views, chosen, engine, tmp_path / "whole"))
    interrupted = start(first, views, chosen, engine, tmp_path / "part")
    seen = [next(interrupted) for _ in range(stop)]
    interrupted.close()
    again = list(start(second, views, chosen, engine, tmp_path / "part"))
    assert again[:stop] == seen
    assert essence(again) == essence(expected)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_a_resumed_run_keeps_its_mask(
    views: Any, build: Build, recipe: Recipe, engine: Engine, tmp_path: Path
) -> None:
    mask = {"0.weight": torch.arange(108).reshape(4, 3, 3, 3) % 2 == 0}
    whole, first, second = build(), build(), build()
    list(start(whole, views, recipe, engine, tmp_path / "whole", mask=mask))
    next(start(first, views, recipe, engine, tmp_path / "part", mask=mask))
    list(start(second, views, recipe, engine, tmp_path / "part", mask=mask))
    assert torch.count_nonzero(dict(second.named_parameters())["0.weight"][~mask["0.weight"]]) == 0
    for name, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


def test_stored_epochs_are_replayed_not_computed(
    views: Any, build: Build, recipe: Recipe, engine: Engine, tmp_path: Path
) -> None:
    list(start(build(), views, recipe, engine, tmp_path))
    calls: list[nn.Module] = []
    replayed = list(start(build(), views, recipe, engine, tmp_path, evaluate=calls.append))
    assert len(replayed) == 4
    assert calls == []


def test_another_training_ignores_the_progress(
    views: Any, build: Build, recipe: Recipe, engine: Engine, tmp_path: Path
) -> None:
    list(start(build(), views, recipe, engine, tmp_path))
    calls: list[int] = []

    def counted(_: nn.Module) -> float:
        calls.append(1)
        return 0.5

    list(start(build(), views, replace(recipe, lr=0.04), engine, tmp_path, evaluate=counted))
    list(start(build(), views, recipe, engine, tmp_path, evaluate=counted, seed=4))
    assert len(calls) == 8


def test_round_trip(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "new").save("me", TENSORS, {"x": [1, 2.5, None]})
    assert Checkpoint(tmp_path).load("me") is None
    loaded = Checkpoint(tmp_path / "new").load("me")
    assert loaded is not None
    tensors, meta = loaded
    assert meta == {"x": [1, 2.5, None]}
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_torn_file_is_ignored(keep: int, tmp_path: Path) -> None:
    progress = Checkpoint(tmp_path)
    progress.save("me", TENSORS, {})
    on_disk(progress.path).write_bytes(on_disk(progress.path).read_bytes()[:keep])
    assert progress.load("me") is None


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    progress = Checkpoint(tmp_path)
    progress.save("me", TENSORS, {"x": 1})
    whole = on_disk(progress.path).read_bytes()
    for position in range(len(whole)):
        broken = bytearray(whole)
        broken[position] ^= 1
        on_disk(progress.path).write_bytes(bytes(broken))
        loaded = progress.load("me")
        # A flip in the header may hit what only pads it: then everything must still be as it was.
        assert loaded is None or (loaded[1] == {"x": 1} and torch.equal(loaded[0]["a"], TENSORS["a"]))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_failed_write_keeps_the_former_progress(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Checkpoint(tmp_path)
    progress.save("me", TENSORS, {"x": 1})

    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(StorageFullError, match="run the same command again"):
        progress.save("me", TENSORS, {"x": 2})
    loaded = progress.load("me")
    assert loaded is not None
    assert loaded[1] == {"x": 1}
    assert [file.name for file in tmp_path.iterdir()] == [progress.path.name]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="storage refused"):
        Checkpoint(tmp_path / "file" / "folder").save("me", TENSORS, {})


def test_clear_removes_leftovers_too(tmp_path: Path) -> None:
    progress = Checkpoint(tmp_path)
    progress.save("me", TENSORS, {})
    (tmp_path / f"{progress.path.name}.0123").touch()
    progress.clear()
    assert list(tmp_path.iterdir()) == []
    Checkpoint(tmp_path / "never made").clear()


def test_writing_waits_for_its_interval_and_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    progress = Checkpoint(tmp_path, interval_s=10, clock=lambda: clock[0])
    assert not progress.due()
    clock[0] += 10
    assert progress.due()
    monkeypatch.setattr(checkpoint, "save_file", lambda *_, **__: clock.__setitem__(0, clock[0] + 2))
    monkeypatch.setattr(checkpoint, "_fsync", lambda _: None)
    monkeypatch.setattr(os, "replace", lambda *_: None)
    progress.save("me", TENSORS, {})
    clock[0] += 37
    assert not progress.due()
    clock[0] += 1
    assert progress.due(), "40 s from where the write began, twenty times what it took"
    monkeypatch.setattr(checkpoint, "save_file", lambda *_, **__: clock.__setitem__(0, clock[0] + 60))
    progress.save("me", TENSORS, {})
    clock[0] += 60
    assert progress.due(), "one write that hung does not put off the next for twenty minutes"


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
            engine=Engine(),
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
    ("interval", "write_s", "at_most", "every"),
    [(5, 0.0, 5, 1), (20, 0.0, 20, 5), (5, 0.4, 8, 5), (5, 100.0, 36, 5)],
)
def test_killed_after_any_step_it_repeats_an_interval_at_most(
    interval: float, write_s: float, at_most: int, every: int, shown: Any, build: Build, tmp_path: Path
) -> None:
    assert at_most == min(max(interval, min(write_s / SHARE, LONGEST_S)), EPOCHS * STEPS)
    whole = build(dropout=0.3)
    expected = World(shown).train(whole, tmp_path / "whole", interval=interval)
    for killed in range(0, EPOCHS * STEPS, every):
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
