"""Replayed steps give the bits of plain ones; what cannot be captured, differs or gains nothing runs plainly."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import cuda_graphs as captured
from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.device import Engine
from pdsearch.training.fit import fit
from tests.training.objectives import hard_labels
from tests.training.replayed import CpuGraph, tensors

FULL = captured.LEAST + 3
"""Full steps of an epoch; a last one of five images follows."""


class Graphed(Engine):
    """An engine whose trainings are captured to one graph."""

    held: CpuGraph

    def graph(self) -> CpuGraph:
        return self.held


@pytest.fixture
def graph() -> CpuGraph:
    return CpuGraph()


@pytest.fixture
def graphed(graph: CpuGraph, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Replays whatever it gains."""
    monkeypatch.setattr(captured, "PAYS", 1e-9)
    monkeypatch.setattr(Graphed, "held", graph, raising=False)
    return Graphed()


@pytest.fixture
def train(
    make: Callable[[int], Any], build: Callable[..., nn.Module], recipe: Recipe
) -> Callable[..., tuple[dict[str, Tensor], list[float]]]:
    """Train for three epochs; return the weights and the losses."""
    views = make(16 * FULL + 5)

    def run(engine: Engine, *, dropout: float = 0.3, upto: int | None = None, **more: Any) -> Any:
        model = build(dropout=dropout)
        asked = {"objective": hard_labels(views.labels), "recipe": replace(recipe, epochs=3), **more}
        epochs = fit(model, views=views, seed=1, evaluate=lambda _: 0.5, engine=engine, **asked)
        reports = list(islice(epochs, upto))
        epochs.close()
        return model.state_dict(), [report.loss for report in reports]

    return run


def same(some: Any, others: Any) -> bool:
    return some[1] == others[1] and all(
        torch.equal(tensor, others[0][name]) for name, tensor in some[0].items()
    )


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ema": 0.9},
        {"optimizer": "adamw"},
        {"select": "best_val"},
    ],
)
def test_whatever_the_recipe_the_bits_are_those_of_plain_steps(
    train: Any, graphed: Engine, graph: CpuGraph, recipe: Recipe, more: dict[str, Any]
) -> None:
    asked = replace(recipe, epochs=3, **more)
    assert same(train(graphed, recipe=asked), train(Engine(), recipe=asked))
    plain = captured.READY + captured.TIMED
    assert graph.captured == 3, "once an epoch"
    assert graph.replayed == (FULL - plain) + 2 * (FULL - 1)


def test_masked_weights_stay_zero(train: Any, graphed: Engine, graph: CpuGraph) -> None:
    mask = {"0.weight": torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(2)) > 0.5}
    replayed = train(graphed, mask=mask)
    assert graph.replayed
    assert same(replayed, train(Engine(), mask=mask))
    assert bool((replayed[0]["0.weight"][~mask["0.weight"]] == 0).all())


def test_a_training_resumed_in_the_middle_of_an_epoch(
    train: Any, graphed: Engine, graph: CpuGraph, tmp_path: Path, make: Callable[[int], Any]
) -> None:
    class CutError(Exception):
        pass

    labels, seen = make(16 * FULL + 5).labels, []

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        seen.append(epoch)
        if seen.count(1) == 2 and cut:  # The second of the second epoch, which is captured.
            raise CutError
        return hard_labels(labels)(model, images, index, epoch)

    cut = True
    with pytest.raises(CutError):
        train(graphed, objective=objective, checkpoint=Checkpoint(tmp_path, interval_s=0))
    cut = False
    resumed = train(graphed, objective=objective, checkpoint=Checkpoint(tmp_path, interval_s=0))
    assert graph.replayed
    assert same(resumed, train(Engine()))


def test_what_changes_from_epoch_to_epoch_is_captured_anew(
    train: Any, graphed: Engine, graph: CpuGraph, make: Callable[[int], Any]
) -> None:
    plain = hard_labels(make(16 * FULL + 5).labels)

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        return plain(model, images, index, epoch) * (epoch + 1)

    replayed = train(graphed, objective=objective)
    assert graph.replayed
    assert same(replayed, train(Engine(), objective=objective))


def test_what_asks_for_a_content_runs_plainly(
    train: Any, graphed: Engine, graph: CpuGraph, make: Callable[[int], Any]
) -> None:
    plain = hard_labels(make(16 * FULL + 5).labels)

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        return plain(model, images, index, epoch) * (1.0 + int(index[0]) % 2)

    replayed = train(graphed, objective=objective)
    assert (graph.captured, graph.replayed) == (0, 0)
    assert same(replayed, train(Engine(), objective=objective))


def test_what_differs_when_it_is_replayed_runs_plainly(
    train: Any, graphed: Engine, graph: CpuGraph, make: Callable[[int], Any]
) -> None:
    plain, calls = hard_labels(make(16 * FULL + 5).labels), []

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        calls.append(epoch)  # A number that no tensor holds: a capture would repeat it for good.
        return plain(model, images, index, epoch) * (1.0 + len(calls) % 3)

    train(graphed, objective=objective, upto=1)
    assert (graph.captured, graph.replayed) == (1, 1), (
        "replayed once, held against the plain step, and let go of"
    )
    assert graph.calls == []


@pytest.mark.parametrize("shape", [(), (4,), (4, 3, 3, 3)])  # Of a sum of losses, of a buffer, of a gradient.
def test_a_refused_capture_leaves_what_the_plain_step_gives(
    train: Any, graphed: Engine, graph: CpuGraph, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: CpuGraph) -> None:
        replay(self)
        for tensor in tensors([result for *_, result in self.calls]):
            if tensor.shape == shape and tensor.is_floating_point():
                tensor.add_(1.0)

    replay = CpuGraph.replay
    monkeypatch.setattr(CpuGraph, "replay", wrong)
    assert same(train(graphed), train(Engine()))
    assert graph.replayed == 1


def test_memory_that_is_lacking_later_is_no_fault(
    train: Any, graphed: Engine, graph: CpuGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: CpuGraph, work: Callable[[], None]) -> None:
        capture(self, work)
        if self.captured == 2:
            raise torch.OutOfMemoryError

    capture = CpuGraph.capture
    monkeypatch.setattr(CpuGraph, "capture", full)
    assert same(train(graphed), train(Engine()))
    assert graph.captured == 2
    assert graph.calls == []


def test_what_gains_little_is_let_go_of(
    train: Any, graphed: Engine, graph: CpuGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "PAYS", 1e9)
    assert same(train(graphed), train(Engine()))
    assert (graph.captured, graph.replayed) == (1, 1 + captured.TIMED)
    assert graph.calls == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_a_gpu_the_bits_are_those_of_plain_steps(
    train: Any, make: Callable[[int], Any], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "PAYS", 1e-9)
    objective = hard_labels(make(16 * FULL + 5).labels.to("cuda"))
    engine = Engine(device="cuda", precision=precision)
    replayed = train(engine, objective=objective)
    assert same(replayed, train(replace(engine, graphs=False), objective=objective))


def test_short_epochs_run_plainly(
    train: Any, graphed: Engine, graph: CpuGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "LEAST", FULL + 1)
    train(graphed, upto=1)
    assert graph.captured == 0
