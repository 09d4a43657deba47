"""A place is walked like a path, and its text names it again."""

from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.io import Remote, place, resolved

URL = "s3://bucket/a/prefix?region=eu-west-1"


def test_a_url_is_walked_like_a_path() -> None:
    root = place(URL)
    assert isinstance(root, Remote)
    study = root / "study"
    assert str(study / "trials") == "s3://bucket/a/prefix/study/trials?region=eu-west-1"
    assert (study.name, study.parent, study.with_name("x").name) == ("study", root, "x")
    assert place(str(study)) == place(study) == resolved(str(study)) == study
    assert root.parent.parent == Remote("s3://bucket", "", "region=eu-west-1")
    assert str(place("s3://bucket/") / "x") == "s3://bucket/x"
    assert place("s3://bucket/a/") == place("s3://bucket/a")


def test_anything_else_is_a_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert place("runs") == place(Path("runs")) == Path("runs")
    assert resolved("runs") == tmp_path / "runs"
    assert resolved("~/runs") == tmp_path / "me" / "runs"


def test_what_is_no_storage_is_refused() -> None:
    with pytest.raises(ConfigError, match="ftp:// is no storage"):
        place("ftp://bucket/x")
