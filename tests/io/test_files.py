"""Places, their URLs, and the files in them."""

from pathlib import Path

import pytest

from pdsearch.errors import ConfigError, redacted
from pdsearch.io import (
    Place,
    Remote,
    cache_folder,
    entry_names,
    exists,
    local_folder,
    place,
    read,
    read_all,
    remove,
    remove_tree,
    rename,
    replace,
    resolved,
    subfolders,
)
from pdsearch.io.place import SCHEMES, flaw, is_url


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return tmp_path / "store"
    bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return place(server.url(f"{bucket}/a/prefix"))


def test_what_is_not_there(root: Place) -> None:
    assert read(root / "x") is None
    assert not exists(root / "x")
    assert (entry_names(root), subfolders(root), list(read_all(root, ["x"]))) == ([], [], [])
    remove(root / "x")
    remove_tree(root)


def test_what_was_written_is_read_listed_renamed_and_removed(root: Place) -> None:
    for name in ("b.json", "a.json"):
        replace(root / name, b"old")
        replace(root / name, name.encode())
    replace(root / "deeper" / "x", b"x")
    assert read(root / "a.json") == b"a.json"
    assert exists(root / "a.json")
    assert not exists(root / "deeper")
    assert [name for name in entry_names(root) if name != "deeper"] == ["a.json", "b.json"]
    assert subfolders(root) == ["deeper"]
    found = list(read_all(root, ["b.json", "gone", "a.json"]))
    assert found == [("b.json", b"b.json"), ("a.json", b"a.json")]
    rename(root / "a.json", "c.json")
    assert (read(root / "a.json"), read(root / "c.json")) == (None, b"a.json")
    remove(root / "c.json")
    remove_tree(root / "deeper")
    assert subfolders(root) == []
    assert entry_names(root) == ["b.json"]


HERE = Remote("s3://bucket", "runs/study", "region=a")


def test_each_place_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    others = [HERE.parent, HERE / "x", Remote("s3://other", "runs/study", "region=a")]
    folders = [local_folder(one) for one in (HERE, *others)]
    assert len(set(folders)) == 4
    assert local_folder(tmp_path) == tmp_path
    assert all(folder.parent == tmp_path / "state" / "pdsearch" for folder in folders)
    assert folders[0].name.startswith("study-")
    assert cache_folder(HERE).parent == tmp_path / "cache" / "pdsearch"
    assert local_folder(Remote("s3://bucket", "")).name.startswith("bucket-")


def test_without_a_word_or_with_a_relative_one_it_is_the_usual_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert local_folder(HERE).parent == tmp_path / ".local" / "state" / "pdsearch"
    assert cache_folder(HERE).parent == tmp_path / ".cache" / "pdsearch"


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


GOOD = [
    "s3://bucket",
    "s3://bucket/",
    "s3://bucket/a/prefix?region=eu-west-1",
    "s3://bucket/a?endpoint_override=127.0.0.1:9000&scheme=http",
    "gs://anonymous@bucket/prefix",
    "abfs://container@account.dfs.core.windows.net/prefix",
    "hdfs:///runs",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_good_url_has_no_flaw(url: str) -> None:
    assert is_url(url)
    assert flaw(url) is None
    assert redacted(url) == url or "@" in url


BAD = {
    "file:///tmp/runs": "file:// is no storage",
    "S3://bucket/x": "S3:// is no storage",
    "http://bucket/x": "http:// is no storage",
    "s3:///prefix": "names no bucket",
    "s3://bucket/a/../b": "is no name",
    "s3://bucket/a//b": "is no name",
    "s3://bucket/a b": "is no name",
    "s3://bucket/a%2Fb": "is no name",
    "s3://bucket/a#b": "# has no meaning",
    "s3://bucket/a?region": "is no URL",
    "s3://[bucket/a": "is no URL",
}


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_told(url: str) -> None:
    found = flaw(url)
    assert found is not None
    assert BAD[url] in found[0]
    assert found[1]


SECRETS = [
    "s3://AKIA:hush@bucket/x",
    "s3://hush@bucket/x",
    "gs://user:hush@bucket/x",
    "abfs://container:hush@account/x",
    "s3://bucket/x?secret_key=hush",
    "s3://bucket/x?access_key=hush&region=a",
    "s3://bucket/x?region=a&session_token=hush",
    "abfs://c@a/x?sig=hush",
]


@pytest.mark.parametrize("url", SECRETS)
def test_secrets_are_refused_and_not_repeated(url: str) -> None:
    found = flaw(url)
    assert found is not None
    assert "belong" in found[0]
    assert "hush" not in f"{found} {redacted(url)}"


def test_a_folder_is_no_url() -> None:
    assert not any(is_url(text) for text in ("runs/", "/mnt/s3", "s3:/bucket", "~/x", ""))
    assert "s3" in SCHEMES
