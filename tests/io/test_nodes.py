"""What must lie on a disk lies where the user's system wants it, apart for every place."""

from pathlib import Path

import pytest

from pdsearch.io import Remote, beside, cache_folder

HERE = Remote("s3://bucket", "runs/study", "region=a")


def test_a_folder_holds_its_own_files(tmp_path: Path) -> None:
    assert beside(tmp_path) == tmp_path


def test_each_place_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    others = [HERE.parent, HERE / "x", Remote("s3://other", "runs/study", "region=a")]
    folders = [beside(one) for one in (HERE, *others)]
    assert len(set(folders)) == 4
    assert all(folder.parent == tmp_path / "state" / "pdsearch" for folder in folders)
    assert folders[0].name.startswith("study-")
    assert cache_folder(HERE).parent == tmp_path / "cache" / "pdsearch"
    assert beside(Remote("s3://bucket", "")).name.startswith("bucket-")


def test_without_a_word_or_with_a_relative_one_it_is_the_usual_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert beside(HERE).parent == tmp_path / ".local" / "state" / "pdsearch"
    assert cache_folder(HERE).parent == tmp_path / ".cache" / "pdsearch"
