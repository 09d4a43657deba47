"""The engine reports the choices it makes, and acts on them."""

from typing import Any

import pytest

from pdsearch.config import parse
from pdsearch.pipeline.context import WorkerContext
from pdsearch.search.preflight.precision import Precision
from pdsearch.search.preflight.resources import choices
from tests.search.scripted_trials import DOCUMENT

FP32 = Precision("fp32", "auto: this CPU has no instructions for bf16")


def said(precision: Precision = FP32, **sections: Any) -> list[str]:
    return choices(parse({**DOCUMENT, "confirm": "off", **sections}), precision)


def test_the_precision_and_why() -> None:
    first = said()[0]
    assert "CPU, fp32 (auto: this CPU has no instructions for bf16), threads a trial: 1" in first
    assert "GPU, bf16 (auto), channels_last" in said(Precision("bf16", "auto"), resources={"gpu": 1})[0]


def test_a_gpu_s_steps_are_recorded_unless_the_space_says_no() -> None:
    bf16, words = Precision("bf16", "auto"), "steps captured as CUDA graphs where that is faster"
    assert said(bf16, resources={"gpu": 0.5})[0].endswith(words)
    assert words not in said(bf16, resources={"gpu": 0.5, "cuda_graphs": False})[0]
    assert words not in said(bf16)[0]


def test_outputs_are_half_as_large_in_half_the_precision() -> None:
    whole, half = (said(Precision(name, "as the space says"))[2] for name in ("fp32", "bf16"))
    assert (whole.split()[3], half.split()[3]) == ("0.0036", "0.0018")


def test_views_and_outputs_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    _, views, outputs = said(data={"source": "digits"})
    assert views == "views: all of an epoch made at once, 0.345 MB an epoch as float32"
    assert outputs.startswith("teacher's outputs: stored")
    _, views, outputs = said(data={"source": "cifar100", "augment": "crop"})
    assert views == "views: made batch by batch, 614 MB an epoch as float32"
    monkeypatch.setattr(WorkerContext, "outputs_limit_bytes", 1)
    assert "live in every epoch" in said()[2]


def test_losses_that_hear_no_logits() -> None:
    assert said(distill={"loss": "ce"}, space={})[2] == "teacher's outputs: ce wants none"
    assert "at every step" in said(distill={"loss": "attention"}, space={})[2]


def test_of_files_only_the_device_is_known() -> None:
    assert len(said(data={"source": "parquet", "root": "."})) == 1
