"""Replayed steps give the bits of plain ones; what cannot be captured, differs or gains nothing runs plainly."""

import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import cuda_graphs as captured
from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.cuda_graphs import Captured, CudaGraph, Moment, equal
from pdsearch.training.device import Engine
from pdsearch.training.fit import fit
from pdsearch.training.training_state import TrainingState
from tests.training.objectives import hard_labels
from tests.training.replayed import CpuGraph, tensors

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
FULL = captured.LEAST + 3
"""Full steps of an epoch; a last one of five images follows."""


class Graphed(Engine):
    """An engine whose trainings are captured."""


@pytest.fixture
def graph() -> CpuGraph:
    return CpuGraph()


@pytest.fixture
def graphed(graph: CpuGraph, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Replays whatever it gains."""

    def of(state: TrainingState, engine: Engine) -> Captured | None:
        return Captured(graph, state, engine.device) if isinstance(engine, Graphed) else None  # type: ignore[arg-type]

    monkeypatch.setattr(captured, "PAYS", 1e-9)
    monkeypatch.setattr(Captured, "of", of)
    return Graphed()


@pytest.fixture
def plain(make: Callable[[int], Any]) -> Any:
    """The objective of the training."""
    return hard_labels(make(16 * FULL + 5).labels)


@pytest.fixture
def train(
    make: Callable[[int], Any], build: Callable[..., nn.Module], recipe: Recipe, plain: Any
) -> Callable[..., tuple[dict[str, Tensor], list[float]]]:
    """Train for three epochs; return the weights and the losses."""
    views = make(16 * FULL + 5)

    def run(engine: Engine, *, upto: int | None = None, **more: Any) -> Any:
        model = build(dropout=0.3)
        asked = {"objective": plain, "recipe": replace(recipe, epochs=3), **more}
        epochs = fit(model, views=views, seed=1, evaluate=lambda _: 0.5, engine=engine, **asked)
        reports = list(islice(epochs, upto))
        epochs.close()
        return model.state_dict(), [report.loss for report in reports]

    return run


def same(some: Any, others: Any) -> bool:
    return some[1] == others[1] and all(
        torch.equal(tensor, others[0][name]) for name, tensor in some[0].items()
    )


@pytest.mark.parametrize("more", [{}, {"ema": 0.9}, {"optimizer": "adamw"}, {"select": "best_val"}])
def test_whatever_the_recipe_the_bits_are_those_of_plain_steps(
    train: Any, graphed: Engine, graph: CpuGraph, recipe: Recipe, more: dict[str, Any]
) -> None:
    asked: dict[str, Any] = {"recipe": replace(recipe, epochs=3, **more)}
    asked["mask"] = {"0.weight": torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(2)) > 0.5}
    replayed = train(graphed, **asked)
    assert same(replayed, train(Engine(), **asked))
    assert bool((replayed[0]["0.weight"][~asked["mask"]["0.weight"]] == 0).all())
    eagerly = captured.READY + captured.TIMED
    assert graph.captured == 3, "once an epoch"
    assert graph.replayed == (FULL - eagerly) + 2 * (FULL - 1)


def test_a_training_resumed_in_the_middle_of_an_epoch(
    train: Any, graphed: Engine, graph: CpuGraph, plain: Any, tmp_path: Path
) -> None:
    class CutError(Exception):
        pass

    seen = []

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        seen.append(epoch)
        if seen.count(1) == 2 and cut:  # The second of the second epoch, which is captured.
            raise CutError
        return plain(model, images, index, epoch)  # type: ignore[no-any-return]

    cut = True
    with pytest.raises(CutError):
        train(graphed, objective=objective, checkpoint=Checkpoint(tmp_path, interval_s=0))
    cut = False
    resumed = train(graphed, objective=objective, checkpoint=Checkpoint(tmp_path, interval_s=0))
    assert graph.replayed
    assert same(resumed, train(Engine()))


FACTORS: dict[str, Callable[[Tensor, int, list[int]], float]] = {
    "of the epoch": lambda _index, epoch, _calls: epoch + 1.0,
    "of a content": lambda index, _epoch, _calls: 1.0 + int(index[0]) % 2,
    "that no tensor holds": lambda _index, _epoch, calls: (
        1.0 + len(calls) % 3
    ),  # A capture would repeat it for good.
    "drawn by Python": lambda _index, _epoch, _calls: random.random(),  # Likewise.
}


@pytest.mark.parametrize(
    ("factor", "times"), [*zip(FACTORS, ((3, None), (0, 0), (1, 1), (1, 1)), strict=True)]
)
def test_a_loss_that_changes_is_captured_anew_or_runs_plainly(
    train: Any, graphed: Engine, graph: CpuGraph, plain: Any, factor: str, times: tuple[int, int | None]
) -> None:
    calls: list[int] = []

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        calls.append(epoch)
        return plain(model, images, index, epoch) * FACTORS[factor](index, epoch, calls)  # type: ignore[no-any-return]

    replayed = train(graphed, objective=objective)
    assert graph.captured == times[0]
    assert graph.replayed == times[1] if times[1] is not None else graph.replayed
    if factor == "that no tensor holds":
        assert graph.calls == [], "replayed once, held against the plain step, and let go of"
        return
    assert same(replayed, train(Engine(), objective=objective))


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


@pytest.mark.parametrize(
    ("bound", "value", "times"), [("PAYS", 1e9, (1, 1 + captured.TIMED)), ("LEAST", FULL + 1, (0, 0))]
)
def test_what_gains_little_and_short_epochs_run_plainly(
    train: Any,
    graphed: Engine,
    graph: CpuGraph,
    bound: str,
    value: float,
    times: tuple[int, int],
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(captured, bound, value)
    assert same(train(graphed), train(Engine()))
    assert (graph.captured, graph.replayed, graph.calls) == (*times, [])


@gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_a_gpu_the_bits_are_those_of_plain_steps(
    train: Any, make: Callable[[int], Any], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured, "PAYS", 1e-9)
    objective = hard_labels(make(16 * FULL + 5).labels.to("cuda"))
    engine = Engine(device="cuda", precision=precision)
    replayed = train(engine, objective=objective)
    assert same(replayed, train(replace(engine, graphs=False), objective=objective))


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    """Stands for torch.cuda, and notes what it is asked for."""
    made = MagicMock()
    made.CUDAGraph.side_effect = [made.first, made.second]
    made.mem_get_info.return_value, made.max_memory_allocated.return_value = (10**9, 0), 10**8
    made.memory_allocated.return_value, made.get_sync_debug_mode.return_value = 0, "default"
    made.first.pool.return_value = "its pool"
    made.set_sync_debug_mode.side_effect = lambda mode: (
        mode == "error" and warnings.warn("prototype", stacklevel=1)
    )
    monkeypatch.setattr(captured, "torch", SimpleNamespace(cuda=made, device=torch.device))
    return made


def said(driver: MagicMock) -> list[str]:
    """What was asked for of a graph or the device, in order, since the last time."""
    asked = [name for name, *_ in driver.mock_calls]
    driver.reset_mock()
    driver.CUDAGraph.side_effect = [driver.second]
    return [name for name in asked if name.partition(".")[0] in ("first", "second", "synchronize", "work")]


@pytest.mark.parametrize("waits", [False, True])
def test_work_may_not_wait_for_the_device_while_it_warms_up(waits: bool, driver: MagicMock) -> None:
    modes = driver.set_sync_debug_mode.call_args_list
    try:
        with CudaGraph("cuda").ready():
            assert [mode.args for mode in modes] == [("error",)]
            if waits:
                raise RuntimeError("called a synchronizing CUDA operation")
    except RuntimeError:
        assert waits
    assert [mode.args for mode in modes] == [("error",), ("default",)]


def test_a_capture_takes_over_the_memory_of_the_last_which_goes_only_then(driver: MagicMock) -> None:
    made = CudaGraph("cuda")
    made.capture(driver.work)
    made.replay()
    assert said(driver) == ["synchronize", "first.capture_begin", "work", "first.capture_end", "first.replay"]
    made.capture(driver.work)
    driver.second.capture_begin.assert_called_once_with(pool="its pool", capture_error_mode="thread_local")
    made.replay()
    assert said(driver) == [
        *("first.pool", "synchronize", "second.capture_begin", "work", "second.capture_end"),
        *("synchronize", "first.reset", "second.replay"),
    ]
    made.clear()
    made.clear()
    assert said(driver) == ["synchronize", "second.reset"]


def test_a_capture_that_fails_or_finds_no_room_leaves_nothing(driver: MagicMock) -> None:
    driver.work.side_effect = RuntimeError("not permitted when the stream is capturing")
    made = CudaGraph("cuda")
    with pytest.raises(RuntimeError, match="capturing"):
        made.capture(driver.work)
    made.clear()
    assert said(driver) == ["synchronize", "first.capture_begin", "work", "first.capture_end"]
    driver.mem_get_info.return_value = (int(1.2 * 10**8), 0)
    with pytest.raises(RuntimeError, match=r"0.1 GB are free, a step needs 0.1"):
        made.capture(driver.work)
    assert said(driver) == []


@pytest.mark.usefixtures("driver")
def test_which_trainings_are_captured(build: Callable[..., nn.Module], recipe: Recipe) -> None:
    state = TrainingState(build(), recipe, Engine())
    engines = (Engine(), Engine(device="cuda", parts=2), Engine(device="cuda", graphs=False))
    assert [Captured.of(state, engine) for engine in engines] == [None] * 3
    assert isinstance(Captured.of(state, Engine(device="cuda")), Captured)


@gpu
def test_on_a_gpu_replayed_work_computes_from_what_its_tensors_hold() -> None:
    given, found = torch.ones(4, device="cuda"), torch.zeros(4, device="cuda")

    def work() -> None:
        found.add_(given * 2)

    made = CudaGraph("cuda")
    with made.ready():
        work()
    made.capture(work)
    assert found.tolist() == [2.0] * 4, "capture computes nothing"
    given.fill_(3.0)
    made.replay()
    made.wait()
    assert found.tolist() == [8.0] * 4
    with pytest.raises(RuntimeError), CudaGraph("cuda").ready():
        given.sum().item()


def test_a_moment_is_now_until_something_changes(build: Callable[..., nn.Module], recipe: Recipe) -> None:
    state, total = TrainingState(build(dropout=0.5), recipe, Engine()), torch.zeros((), dtype=torch.float64)
    changes: list[Callable[[], object]] = [
        lambda: total.add_(1),
        lambda: state.model(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))),
        lambda: torch.rand(1),
    ]
    with torch.random.fork_rng(devices=[]):
        moment = Moment(state, total, "cpu")
        assert moment.is_now()
        for change in changes:
            change()
            assert not moment.is_now()
            assert moment.drew("cpu") or change is changes[0]
            moment.restore()
            assert moment.is_now()


@pytest.mark.parametrize(
    ("some", "others", "expected"),
    [
        ([], [], True),
        ([torch.ones(2), None], [torch.ones(2), None], True),
        ([torch.ones(2), None], [torch.ones(2), torch.ones(2)], False),
        ([torch.ones(2)], [torch.tensor([1.0, 1.0 + 2**-23])], False),
        ([torch.tensor([torch.nan])], [torch.tensor([torch.nan])], False),
    ],
)
def test_equal_means_every_bit(some: list[Tensor], others: list[Tensor], expected: bool) -> None:
    assert equal(some, others) is expected
