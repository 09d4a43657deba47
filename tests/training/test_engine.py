"""Devices and precisions are named, resolved, and refused when unknown."""

import pytest
import torch
from torch import nn

from pdsearch.errors import ConfigError
from pdsearch.training import Engine, pick_device, resolve_precision
from pdsearch.training import device as engine


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


def test_no_scaler_on_a_cpu() -> None:
    assert Engine(precision="fp16").scaler() is None


@pytest.mark.parametrize(
    ("flags", "expected"), [({"avx512_bf16"}, "bf16"), ({"amx_bf16"}, "bf16"), ({"avx2"}, "fp32")]
)
def test_auto_on_a_cpu(flags: set[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: flags)
    assert resolve_precision("auto", "cpu") == expected


@pytest.mark.parametrize(
    ("weights", "expected"), [(None, "bf16"), (1_500, "fp32"), (24_000, "fp32"), (78_000, "bf16")]
)
def test_auto_on_a_cpu_leaves_tiny_students_in_single_precision(
    weights: int | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx512_bf16"})
    assert resolve_precision("auto", "cpu", weights=weights) == expected
    assert resolve_precision("bf16", "cpu", weights=weights) == "bf16"


def test_auto_on_a_cpu_leaves_depthwise_convolutions_in_single_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx512_bf16"})
    assert resolve_precision("auto", "cpu", weights=10**6, depthwise=True) == "fp32"
    assert resolve_precision("auto", "cpu", depthwise=False) == "bf16"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp16")])
def test_auto_on_a_gpu(supported: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: supported)
    assert resolve_precision("auto", "cuda:1") == expected


@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_named_precisions_stand_for_themselves(name: str) -> None:
    assert resolve_precision(name, "cpu") == name


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown precision 'half'"):
        resolve_precision("half", "cpu")


def test_pick_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device(0) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device(0.5) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"resources\.gpu"):
        pick_device(1)
