"""Does the engine say what it chooses, and is it what it then does?"""

from typing import Any

import pytest

from pdsearch.search.choices import choices
from pdsearch.space import parse
from pdsearch.stages.site import Site
from pdsearch.training import engine
from tests.search.played import DOCUMENT


def said(**sections: Any) -> list[str]:
    return choices(parse({**DOCUMENT, "confirm": "off", **sections}))


@pytest.mark.parametrize(
    ("flags", "student", "asked", "expected"),
    [
        (set(), "convnet_m", "auto", "CPU, fp32 (auto: this CPU has no instructions for bf16)"),
        ({"amx_bf16"}, "convnet_m", "auto", "CPU, bf16 (auto: this CPU has instructions for it)"),
        (
            {"amx_bf16"},
            "convnet_s",
            "auto",
            "CPU, fp32 (auto: a student of 1,442 weights is too small for bf16",
        ),
        (set(), "convnet_s", "bf16", "CPU, bf16 (as the space says)"),
    ],
)
def test_the_precision_and_why(
    flags: set[str], student: str, asked: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: flags)
    first = said(student={"model": student}, precision=asked)[0]
    assert expected in first
    assert "threads a trial: 1" in first


def test_views_and_outputs_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    _, views, outputs = said(data={"source": "digits"}, precision="fp32")
    assert views == "views: all of an epoch made at once, 0.345 MB an epoch as float32"
    assert outputs.startswith("teacher's outputs: stored")
    _, views, outputs = said(data={"source": "cifar100", "augment": "crop"}, precision="fp32")
    assert views == "views: made batch by batch, 614 MB an epoch as float32"
    monkeypatch.setattr(Site, "outputs_limit_bytes", 1)
    assert "live in every epoch" in said()[2]


def test_losses_that_hear_no_logits() -> None:
    assert said(distill={"loss": "ce"}, space={})[2] == "teacher's outputs: ce wants none"
    assert "at every step" in said(distill={"loss": "attention"}, space={})[2]


def test_of_files_only_the_device_is_known() -> None:
    assert len(said(data={"source": "parquet", "root": "."})) == 1
