import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pdsearch.errors import StorageError, StorageFullError
from pdsearch.search.planning.disk import known_images
from pdsearch.search.preflight import resources as preflight
from pdsearch.search.preflight.resources import crowd, room
from pdsearch.specs import DataSpec
from tests.faults import scripted_study


def free(monkeypatch: pytest.MonkeyPatch, count: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=count))


def said(folder: Path, below: str = "") -> str | None:
    images = known_images(DataSpec("digits"))
    assert images is not None
    return room(scripted_study.space(folder), folder / below, images, {})


def test_enough_room_is_no_word_and_makes_the_folder(tmp_path: Path) -> None:
    assert said(tmp_path, "new") is None
    assert (tmp_path / "new").is_dir()


def test_hardly_any_room_ends_the_run_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 100e6)
    with pytest.raises(StorageFullError, match="100 MB are free; a study needs 200 MB") as caught:
        said(tmp_path)
    assert caught.value.exit_code == 75


def test_too_little_for_all_of_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 300e6)
    monkeypatch.setattr(preflight, "disk", lambda *_: SimpleNamespace(total=5e9))
    assert "may fill 5 GB, and 0.3 GB are free" in str(said(tmp_path))


def test_a_place_that_cannot_be_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        said(tmp_path, "file/runs")


def test_more_cores_than_there_are_is_said_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "cores", lambda: 2)
    assert crowd(scripted_study.space(tmp_path), 2) is None
    warning = crowd(scripted_study.space(tmp_path), 50)
    assert warning is not None
    assert "50 trials at once with 1 cores each want 50 of 2 cores" in warning
