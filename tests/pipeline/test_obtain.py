"""Results of stages are found or made once, the data among them."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pdsearch.data.registry import sources
from pdsearch.pipeline.cache import Made, drain, obtain, tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import data_key
from pdsearch.protocol import Progress
from tests.on_disk import on_disk
from tests.pipeline.digits import MOVING, SPEC, data, finish, site

KEY = "a" * 64


class Maker:
    """Makes an artifact in two steps and counts how often it is asked to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made, self.error = 0, error

    def __call__(self) -> Generator[Progress, None, Made]:
        self.made += 1
        yield Progress("teacher", "first", 1, 2)
        if self.error:
            raise self.error
        yield Progress("teacher", "second", 2, 2)
        return Made({"x": torch.arange(4.0)}, {"val_accuracy": 0.5})


def leases(at: WorkerContext) -> list[Path]:
    return list(Path(str(at.store.root), ".leases").glob("*.json"))


def test_what_nobody_has_is_made_and_its_progress_passed_on(here: WorkerContext) -> None:
    make = Maker()
    said, entry = finish(obtain(here, "teacher", KEY, make))
    assert [event.note for event in said] == ["first", "second"]
    assert torch.equal(tensors(entry)["x"], torch.arange(4.0))
    assert entry.meta["val_accuracy"] == 0.5
    (use,) = here.account.uses
    assert (use.stage, use.key, use.hit) == ("teacher", KEY, False)
    assert use.seconds == entry.meta["seconds"]
    assert leases(here) == []


def test_what_is_there_is_not_made_again(here: WorkerContext, tmp_path: Path) -> None:
    make = Maker()
    drain(obtain(here, "teacher", KEY, make))
    other = site(tmp_path)
    said, entry = finish(obtain(other, "teacher", KEY, make))
    assert (said, make.made) == ([], 1)
    assert [use.hit for use in other.account.uses] == [True]
    assert other.account.uses[0].seconds == here.account.uses[0].seconds
    assert torch.equal(tensors(entry)["x"], torch.arange(4.0))


def test_a_second_worker_says_that_it_waits_and_takes_what_the_first_made(
    here: WorkerContext, tmp_path: Path
) -> None:
    make, other = Maker(), site(tmp_path)
    first, second = obtain(here, "teacher", KEY, make), obtain(other, "teacher", KEY, make)
    next(first)
    assert "another worker makes it" in next(second).note
    assert "another worker makes it" in next(second).note
    drain(first)
    finish(second)
    assert make.made == 1
    assert [use.hit for use in other.account.uses] == [True]


def test_closing_gives_the_lease_back(here: WorkerContext, tmp_path: Path) -> None:
    make = Maker()
    first = obtain(here, "teacher", KEY, make)
    next(first)
    assert len(leases(here)) == 1
    first.close()
    assert leases(here) == []
    drain(obtain(site(tmp_path), "teacher", KEY, make))
    assert make.made == 2


def test_an_error_gives_the_lease_back_and_leaves_nothing(here: WorkerContext) -> None:
    with pytest.raises(ValueError, match="broke"):
        drain(obtain(here, "teacher", KEY, Maker(ValueError("broke"))))
    assert leases(here) == []
    assert here.store.find("teacher", KEY) is None
    assert here.account.uses == []


def test_a_broken_artifact_is_made_again(here: WorkerContext, tmp_path: Path) -> None:
    make = Maker()
    entry = drain(obtain(here, "teacher", KEY, make))
    path = entry.path("tensors.safetensors")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    drain(obtain(site(tmp_path), "teacher", KEY, make))
    assert make.made == 2


def test_the_checkpoint_of_a_finished_stage_is_removed(here: WorkerContext) -> None:
    (on_disk(here.progress) / KEY).mkdir(parents=True)
    (on_disk(here.progress) / KEY / "progress.safetensors").write_bytes(b"x")
    drain(obtain(here, "teacher", KEY, Maker()))
    assert not (on_disk(here.progress) / KEY).exists()


def test_the_bytes_of_an_artifact_depend_on_the_values_alone(tmp_path: Path) -> None:
    wide = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)

    def content(name: str, tensor: torch.Tensor) -> bytes:
        def make() -> Generator[Any, None, Made]:
            yield from ()
            return Made({"w": tensor}, {})

        entry = drain(obtain(site(tmp_path / name), "teacher", KEY, make))
        return entry.path("tensors.safetensors").read_bytes()

    layouts = [wide, wide.to(memory_format=torch.channels_last), torch.cat([wide, wide])[:2]]
    assert len({content(str(number), layout) for number, layout in enumerate(layouts)}) == 1


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


def test_what_may_be_downloaded_is_no_part_of_the_key() -> None:
    spec = replace(SPEC.data, options=(("label", "fine"),))
    also = replace(spec, options=(("download", False), ("label", "fine")))
    assert data_key(spec) == data_key(also) != data_key(SPEC.data)
