"""Are the loops taken where they pay and fit, and is everything else torch's own?"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pdsearch.models import build, looped, normalise
from pdsearch.models.normalise import normalised

RELU = nn.ReLU(inplace=True)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which of the two ways of the loops were taken."""
    found: list[str] = []

    class Noted(looped.Looped):
        @staticmethod
        def forward(*arguments: Any) -> Tensor:
            found.append("trained")
            return looped.Looped.forward(*arguments)

    def noted(*arguments: Any) -> Tensor:
        found.append("evaluated")
        return looped.evaluated(*arguments)

    monkeypatch.setattr(normalise, "Looped", Noted)
    monkeypatch.setattr(normalise, "evaluated", noted)
    return found


def maps(*, batch: int = 256, kind: torch.dtype = torch.bfloat16) -> Tensor:
    found = torch.randn(batch, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    return found.to(kind).to(memory_format=torch.channels_last)


def test_training_and_evaluation_go_by_the_loops(taken: list[str]) -> None:
    norm = nn.BatchNorm2d(16)
    normalised(norm, maps(), relu=RELU)
    assert norm.num_batches_tracked == 1
    with torch.no_grad():
        normalised(norm.eval(), maps())
    assert taken == ["trained", "evaluated"]


REFUSED: dict[str, Callable[[], tuple[nn.Module, Tensor, dict[str, Any]]]] = {
    "float32": lambda: (nn.BatchNorm2d(16), maps(kind=torch.float32), {}),
    "few numbers": lambda: (nn.BatchNorm2d(16), maps(batch=255), {}),
    "another order": lambda: (nn.BatchNorm2d(16), maps().contiguous(), {}),
    "evaluated with gradients": lambda: (nn.BatchNorm2d(16).eval(), maps(), {}),
    "weights in bf16": lambda: (nn.BatchNorm2d(16).bfloat16(), maps(), {}),
    "no weights": lambda: (nn.BatchNorm2d(16, affine=False), maps(), {}),
    "no running moments": lambda: (nn.BatchNorm2d(16, track_running_stats=False), maps(), {}),
    "the mean of all batches": lambda: (nn.BatchNorm2d(16, momentum=None), maps(), {}),
    "a subclass": lambda: (type("Own", (nn.BatchNorm2d,), {})(16), maps(), {}),
    "another activation": lambda: (nn.BatchNorm2d(16), maps(), {"relu": nn.ReLU6()}),
    "folded away": lambda: (nn.Identity(), maps(), {"relu": RELU, "around": maps()}),
    "another shape around": lambda: (nn.BatchNorm2d(16), maps(), {"relu": RELU, "around": maps()[:1]}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_everything_else_is_torch_s(why: str, taken: list[str]) -> None:
    norm, seen, options = REFUSED[why]()
    own = copy.deepcopy(norm)
    ours = normalised(norm, seen.clone(), **options)
    theirs = own(seen.clone())
    theirs = theirs + options["around"] if "around" in options else theirs
    assert torch.equal(ours, options["relu"](theirs) if "relu" in options else theirs)
    assert taken == []


@pytest.mark.parametrize("listener", ["register_forward_hook", "register_forward_pre_hook"])
def test_whoever_listens_to_a_layer_hears_it(listener: str, taken: list[str]) -> None:
    heard: list[nn.Module] = []
    norm, relu = nn.BatchNorm2d(16), nn.ReLU()
    for module in (norm, relu):
        getattr(module, listener)(lambda module, *_: heard.append(module))
    normalised(norm, maps(), relu=relu)
    assert (heard, taken) == ([norm, relu], [])


def test_many_threads_and_a_missing_numba_leave_it_to_torch(
    monkeypatch: pytest.MonkeyPatch, taken: list[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(torch, "get_num_threads", lambda: 3)
        normalised(nn.BatchNorm2d(16), maps())
    monkeypatch.setattr(normalise, "loops", lambda: None)
    normalised(nn.BatchNorm2d(16), maps())
    assert taken == []


def test_under_vmap_it_is_left_to_torch(taken: list[str]) -> None:
    norm, whole = nn.BatchNorm2d(16).eval(), maps(kind=torch.float32)
    seen = torch.stack([whole, whole]).bfloat16()
    with torch.no_grad(), pytest.raises(RuntimeError, match="BFloat16"):  # torch's own words.
        torch.vmap(lambda each: normalised(norm, each), in_dims=0)(seen)
    assert taken == []


@pytest.mark.parametrize("name", ["resnet8", "wrn_16_1", "vgg8_bn", "convnet_m"])
def test_a_network_learns_as_with_torch_s_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    losses: dict[bool, list[float]] = {}
    for loops in (True, False):
        monkeypatch.setattr(normalise, "MOST_THREADS", 2 if loops else 0)
        network = build(name, num_classes=10, channels=3, image_size=16, seed=0)
        network = network.to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.005, momentum=0.9)
        generator = torch.Generator().manual_seed(0)
        images, labels = torch.randn(64, 3, 16, 16, generator=generator), torch.arange(64) % 10
        losses[loops] = []
        for _ in range(4):
            with torch.autocast("cpu", torch.bfloat16):
                loss = functional.cross_entropy(
                    network(images.to(memory_format=torch.channels_last)).float(), labels
                )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses[loops].append(loss.item())
    assert losses[True] == pytest.approx(losses[False], rel=0.02)
    assert losses[True][-1] < losses[True][0]
