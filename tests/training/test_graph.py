import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.specs import Recipe
from pdsearch.training import graph
from pdsearch.training.cuda_graphs import Moment, equal
from pdsearch.training.device import Engine
from pdsearch.training.graph import CudaGraph
from pdsearch.training.state import TrainingState

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


class Driver:
    """Stands for torch.cuda, and notes what it is asked for."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.graphs = 0
        self.free, self.peak = 10**9, 10**8
        self.mode = "default"

    def Stream(self, _device: object) -> Any:  # noqa: N802 - torch's name
        return SimpleNamespace(wait_stream=lambda _other: self.said.append("stream waits"))

    def CUDAGraph(self) -> Any:  # noqa: N802 - torch's name
        self.graphs += 1
        name = f"graph{self.graphs}"

        def note(word: str) -> Callable[..., None]:
            return lambda **_: self.said.append(f"{name} {word}")

        def begin(pool: object, capture_error_mode: str) -> None:
            assert capture_error_mode == "thread_local"
            self.said.append(f"{name} begins in {pool}")

        return SimpleNamespace(
            capture_begin=begin,
            capture_end=note("ends"),
            replay=note("replays"),
            reset=note("goes"),
            pool=lambda: f"pool of {name}",
        )

    @contextmanager
    def stream(self, _stream: object) -> Iterator[None]:
        self.said.append("aside")
        yield
        self.said.append("back")

    def current_stream(self, _device: object) -> None: ...

    def synchronize(self, _device: object) -> None:
        self.said.append("wait")

    def graph_pool_handle(self) -> str:
        return "new pool"

    def empty_cache(self) -> None:
        self.said.append("empty")

    def max_memory_allocated(self, _device: object) -> int:
        return self.peak

    def memory_allocated(self, _device: object) -> int:
        return 0

    def mem_get_info(self, _device: object) -> tuple[int, int]:
        return self.free, 0

    def get_sync_debug_mode(self) -> str:
        return self.mode

    def set_sync_debug_mode(self, mode: str) -> None:
        if mode == "error":
            warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
        self.mode = mode


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    made = Driver()
    monkeypatch.setattr(graph, "torch", SimpleNamespace(cuda=made, device=torch.device))
    return made


def test_work_runs_aside_once_and_may_not_wait_for_the_device(driver: Driver) -> None:
    with CudaGraph("cuda").ready():
        assert driver.mode == "error"
    assert driver.mode == "default"
    assert driver.said == ["stream waits", "aside", "back", "wait"]


def test_waiting_is_allowed_again_after_work_that_waited(driver: Driver) -> None:
    with pytest.raises(RuntimeError), CudaGraph("cuda").ready():
        raise RuntimeError("called a synchronizing CUDA operation")
    assert driver.mode == "default"


def test_a_capture_takes_over_the_memory_of_the_last_which_goes_only_then(driver: Driver) -> None:
    made = CudaGraph("cuda")
    made.capture(lambda: driver.said.append("work"))
    made.replay()
    assert driver.said == [
        "empty",
        "wait",
        "aside",
        "graph1 begins in new pool",
        "work",
        "graph1 ends",
        "back",
        "graph1 replays",
    ]
    driver.said.clear()
    made.capture(lambda: driver.said.append("work"))
    made.replay()
    assert driver.said == [
        "wait",
        "aside",
        "graph2 begins in pool of graph1",
        "work",
        "graph2 ends",
        "back",
        "wait",
        "graph1 goes",
        "graph2 replays",
    ]
    driver.said.clear()
    made.clear()
    made.clear()
    assert driver.said == ["wait", "graph2 goes"]


def test_a_capture_that_fails_ends_and_leaves_nothing(driver: Driver) -> None:
    def work() -> None:
        raise RuntimeError("not permitted when the stream is capturing")

    made = CudaGraph("cuda")
    with pytest.raises(RuntimeError, match="capturing"):
        made.capture(work)
    assert "graph1 ends" in driver.said
    made.clear()
    assert "graph1 goes" not in driver.said


def test_without_room_for_a_second_set_of_activations_nothing_is_captured(driver: Driver) -> None:
    driver.free = int(1.2 * driver.peak)
    with pytest.raises(RuntimeError, match=r"0.1 GB are free, a step needs 0.1"):
        CudaGraph("cuda").capture(lambda: None)
    assert driver.graphs == 0


@pytest.mark.usefixtures("driver")
def test_which_engine_has_a_graph() -> None:
    assert Engine().graph() is None
    assert isinstance(Engine(device="cuda").graph(), CudaGraph)
    assert Engine(device="cuda", parts=2).graph() is None
    assert Engine(device="cuda", graphs=False).graph() is None


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
    made.capture(work)
    made.replay()
    assert found.tolist() == [14.0] * 4


@gpu
def test_on_a_gpu_work_that_waits_is_found_out() -> None:
    given = torch.ones(4, device="cuda")
    with pytest.raises(RuntimeError), CudaGraph("cuda").ready():
        given.sum().item()


@pytest.fixture
def state(build: Callable[..., nn.Module], recipe: Recipe, engine: Engine) -> TrainingState:
    return TrainingState(build(dropout=0.5), recipe, engine)


def test_it_is_now_until_something_changes(state: TrainingState) -> None:
    total = torch.zeros((), dtype=torch.float64)
    with torch.random.fork_rng(devices=[]):
        moment = Moment(state, total, "cpu")
        assert moment.is_now()
        for change in (
            lambda: total.add_(1),
            lambda: state.model(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))),
            lambda: torch.rand(1),
        ):
            change()
            assert not moment.is_now()
            moment.restore()
            assert moment.is_now()


def test_it_says_which_generator_was_drawn_from(state: TrainingState) -> None:
    with torch.random.fork_rng(devices=[]):
        moment = Moment(state, torch.zeros(()), "cpu")
        assert not moment.drew("cpu")
        torch.rand(1)
        assert moment.drew("cpu")


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
