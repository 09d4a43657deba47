"""The images are decoded once for all workers, and are the same for all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.data.registry import sources
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.data import views
from pdsearch.pipeline.keys import data_key
from tests.pipeline.digits import MOVING, SPEC, data, site


def test_images_are_decoded_once_and_every_worker_gets_the_same(
    here: WorkerContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = data(SPEC, here)

    def unread(_source: Any, _spec: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(type(sources.get("digits")), "read", unread)
    assert data(SPEC, here) is first
    other = data(SPEC, site(tmp_path))
    assert other is not first
    for part in ("train", "val", "test"):
        assert torch.equal(getattr(first, part).images, getattr(other, part).images)
        assert torch.equal(getattr(first, part).labels, getattr(other, part).labels)
    assert (len(first.train.labels), len(first.val.labels)) == (80, 20)


def test_augmentation_needs_no_images_of_its_own(here: WorkerContext) -> None:
    assert data(MOVING, here) is data(SPEC, here)


def test_another_split_is_another_artifact(here: WorkerContext) -> None:
    other = replace(SPEC, data=replace(SPEC.data, split_seed=1))
    assert not torch.equal(data(SPEC, here).train.images, data(other, here).train.images)


def test_views_follow_their_stream(here: WorkerContext) -> None:
    images, index = data(SPEC, here), torch.arange(10)

    def seen(stream: int) -> torch.Tensor:
        return views(images, augment="crop", stream=stream, site=here).batch(0, index)

    assert torch.equal(seen(1), seen(1))
    assert not torch.equal(seen(1), seen(2))


def test_what_may_be_downloaded_is_no_part_of_the_key() -> None:
    spec = replace(SPEC.data, options=(("label", "fine"),))
    also = replace(spec, options=(("download", False), ("label", "fine")))
    assert data_key(spec) == data_key(also) != data_key(SPEC.data)
