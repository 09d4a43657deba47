"""Device, precision and memory of a training, and what is evaluated with them."""

import ctypes
import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError, TrialError
from pdsearch.models import evaluating
from pdsearch.training import device as engine
from pdsearch.training.device import (
    Engine,
    cores,
    pick_device,
    random_states,
    reproducible,
    resolve_precision,
    restore_random,
    why_fp32,
)
from pdsearch.training.evaluate import logits, right


@pytest.mark.parametrize("precision", ["fp64", "auto", ""])
def test_an_engine_computes_in_a_resolved_precision(precision: str) -> None:
    with pytest.raises(ConfigError, match="known: auto, fp32, bf16, fp16"):
        Engine(precision=precision)


@pytest.mark.parametrize(("precision", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(precision: str, expected: torch.dtype) -> None:
    with Engine(precision=precision).autocast():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == expected


def test_placement_is_channels_last() -> None:
    placed = Engine().place(nn.Conv2d(3, 4, 3))
    assert next(placed.parameters()).is_contiguous(memory_format=torch.channels_last)
    assert Engine().images(torch.zeros(2, 3, 4, 4)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("flags", "expected"), [({"avx512_bf16"}, "bf16"), ({"amx_bf16"}, "bf16"), ({"avx2"}, "fp32")]
)
def test_auto_is_what_the_device_has(flags: set[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: flags)
    assert resolve_precision("auto", "cpu") == expected
    assert resolve_precision("fp16", "cpu") == "fp16"
    assert Engine(precision="fp16").scaler() is None
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: expected == "bf16")
    assert resolve_precision("auto", "cuda:1") == ("bf16" if expected == "bf16" else "fp16")


@pytest.mark.parametrize(
    ("weights", "depthwise", "why"),
    [
        *((None, False, None), (78_000, False, None), (24_000, False, "24,000 weights is too small")),
        (10**6, True, "depthwise convolutions slower"),
    ],
)
def test_a_cpu_trains_tiny_students_and_depthwise_convolutions_in_single_precision(
    weights: int | None, depthwise: bool, why: str | None
) -> None:
    found = why_fp32(weights, depthwise=depthwise, bf16=True)
    assert found is None if why is None else why in str(found)
    assert why_fp32(weights, depthwise=depthwise, bf16=False)


def test_pick_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device(0) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device(0.5) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"resources\.gpu"):
        pick_device(1)


STEPS = """
import resource
import torch
from pdsearch.training.device import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        maps = [torch.ones(10 * 2**20) for _ in range(3)]  # 40 MiB each: more than glibc keeps by itself
        del maps
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_memory_that_was_freed_is_not_asked_for_again() -> None:
    told = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, after = map(int, told.stdout.split())
    assert before > 10_000
    assert after < 100


def test_right_answers_are_those_of_the_largest_logit(
    views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build().eval()
    answers = model(views.batch(0, torch.arange(50))).argmax(1)
    assert right(model, views, answers, engine=engine).all()
    answers[:5] = 1 - answers[:5]
    assert right(model, views, answers, engine=engine, batch_size=7).tolist() == [False] * 5 + [True] * 45


def test_batches_do_not_matter(views: Any, build: Callable[..., nn.Module], engine: Engine) -> None:
    model = build()
    one, other = (logits(model, views, engine=engine, batch_size=size) for size in (50, 9))
    torch.testing.assert_close(one, other)
    assert not one.requires_grad


def test_logits_show_the_epochs_views(views: Any, build: Callable[..., nn.Module], engine: Engine) -> None:
    model = build()
    assert not torch.equal(logits(model, views, engine=engine), logits(model, views, engine=engine, epoch=5))


def test_what_a_network_draws_in_evaluation_is_the_same_again(
    views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build()
    model.register_forward_hook(
        lambda _model, _given, answers: answers + torch.rand_like(answers) + random.random()
    )
    assert torch.equal(logits(model, views, engine=engine), logits(model, views, engine=engine))


def test_modes_and_statistics_are_left_as_they_were(
    views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build()
    model[1].eval()  # type: ignore[index]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    right(model, views, views.labels, engine=engine)
    assert [module.training for module in model.children()] == [True, False, True, True, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_logits_that_are_no_numbers_have_no_right(
    value: float, views: Any, build: Callable[..., nn.Module], engine: Engine
) -> None:
    model = build()
    model.register_forward_hook(lambda _module, _images, found: found.index_fill(0, torch.tensor([3]), value))
    with pytest.raises(TrialError, match=r"^the logits of 3 of 50 test images are not finite$"):
        right(model, views, views.labels, engine=engine, batch_size=20, kind="test")


def test_no_images_is_an_error(views: Any, build: Callable[..., nn.Module], engine: Engine) -> None:
    empty = type(views)(views.images[:0], views.labels[:0])
    with pytest.raises(ConfigError, match="val_fraction"):
        right(build(), empty, empty.labels, engine=engine)


def test_a_process_that_is_kept_to_some_cores_counts_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 3}, raising=False)
    assert cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores() == 7  # Where that is unknown all are counted.


@pytest.mark.parametrize(("share", "counted"), [("2", 2), ("8", 3), ("0", 3), ("", 3)])
def test_a_job_of_slurm_counts_what_it_has_of_the_node(
    share: str, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert cores({"SLURM_CPUS_ON_NODE": share}) == counted


def settings() -> tuple[object, ...]:
    cudnn, state = torch.backends.cudnn, torch.random.get_rng_state()
    others = str(np.random.get_state()), random.getstate()
    return cudnn.deterministic, cudnn.benchmark, state.tolist(), *others


def draw(seed: int) -> list[float]:
    with reproducible(seed):
        return [*torch.rand(3).tolist(), random.gauss(), np.random.normal()]


def test_draws_depend_on_the_seed_alone() -> None:
    first = draw(5)
    torch.rand(7), random.random(), np.random.rand()
    assert draw(5) == first
    assert draw(6) != first
    assert first[:3] == torch.rand(3, generator=torch.Generator().manual_seed(5)).tolist()


def test_inside_kernels_are_fixed_and_the_outside_is_as_it_was_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    with pytest.raises(RuntimeError, match="size"), reproducible(5):  # noqa: PT012 - what is inside is the point
        assert settings()[:2] == (True, False)
        torch.rand(7 + random.randrange(1)) + torch.rand(8 + np.random.randint(1))
    assert settings() == before


def test_states_are_those_of_all_generators() -> None:
    def drawn() -> list[float]:
        return [random.gauss(), np.random.normal(), random.random(), np.random.rand(), torch.rand(1).item()]

    with reproducible(5):
        random.gauss(), np.random.normal()  # Each keeps the second of a pair.
        states, after = random_states("cpu"), drawn()
        restore_random(states, "cpu")
        assert after == drawn()
