"""Every kind of trial of a space is rehearsed once, and a study that could not be trained is refused."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.errors import ConfigError
from pdsearch.pipeline.rehearsal import Rehearsal, in_small
from pdsearch.search.study import open_study
from pdsearch.specs import TrialSpec
from tests.search.scripted_trials import DOCUMENT, Watching, space


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[TrialSpec]:
    """What is rehearsed, in small, instead of rehearsing it."""
    found: list[TrialSpec] = []
    monkeypatch.setattr(Rehearsal, "trial", lambda self, spec: found.append(in_small(spec, self.data)))
    return found


def opened(folder: Path, **sections: Any) -> None:
    with open_study(space(folder, **sections), Watching()):
        pass


def test_what_makes_no_difference_is_tried_once(tmp_path: Path, tried: list[TrialSpec]) -> None:
    opened(tmp_path)
    assert [spec.prune and spec.prune.method for spec in tried] == [None, "magnitude"]


def test_every_pair_and_every_loss_is_tried(tmp_path: Path, tried: list[TrialSpec]) -> None:
    searched = {
        **DOCUMENT["space"],
        "student.model": ["convnet_s", "convnet_m"],
        "distill.loss": ["kd", "fitnet"],
        "distill.stage": {"choices": [1, 2], "when": {"distill.loss": ["fitnet"]}},
        "distill.temperature": {"low": 1, "high": 20, "when": {"distill.loss": ["kd"]}},
    }
    opened(tmp_path, student={}, distill={}, space=searched)
    found = [
        (s.student.model, s.distill.loss, dict(s.distill.params).get("stage"))
        for s in tried
        if s.prune is None
    ]
    expected = [("kd", None), ("fitnet", 1), ("fitnet", 2)]
    assert sorted(found, key=str) == sorted(
        ((m, *x) for m in ("convnet_s", "convnet_m") for x in expected), key=str
    )


def test_a_batch_of_one_image_is_tried_too(tmp_path: Path, tried: list[TrialSpec]) -> None:
    recover = {"choices": [1, 32], "when": {"prune.method": ["magnitude"]}}
    sizes = {"train.distill.batch_size": [1, 16, 64], "train.recover.batch_size": recover}
    searched = {**DOCUMENT["space"], **sizes}
    opened(tmp_path, space=searched)
    assert [spec.distill.recipe.batch_size for spec in tried if spec.prune is None] == [1, 2]
    assert [spec.prune.recipe.batch_size for spec in tried if spec.prune] == [1, 2]


def test_a_study_that_goes_on_is_not_tried_again(tmp_path: Path, tried: list[TrialSpec]) -> None:
    opened(tmp_path)
    opened(tmp_path)
    assert len(tried) == 2


def test_what_cannot_be_trained_stops_the_study_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'nothing\.\*' matches no prunable parameter"):
        opened(tmp_path, prune={"exclude": ["nothing.*"]})
    assert not (tmp_path / "small" / "study.json").exists()
