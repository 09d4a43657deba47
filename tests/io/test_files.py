"""Small files, on a disk and on a real S3 server alike."""

from pathlib import Path

import pytest

from pdsearch.io import (
    Place,
    exists,
    names,
    place,
    read,
    read_all,
    remove,
    remove_tree,
    rename,
    replace,
    subfolders,
)


@pytest.fixture(params=["folder", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return tmp_path / "store"
    bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3")
    return place(server.url(f"{bucket}/a/prefix"))


def test_what_is_not_there(root: Place) -> None:
    assert read(root / "x") is None
    assert not exists(root / "x")
    assert (names(root), subfolders(root), list(read_all(root, ["x"]))) == ([], [], [])
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
    assert [name for name in names(root) if name != "deeper"] == ["a.json", "b.json"]
    assert subfolders(root) == ["deeper"]
    found = list(read_all(root, ["b.json", "gone", "a.json"]))
    assert found == [("b.json", b"b.json"), ("a.json", b"a.json")]
    rename(root / "a.json", "c.json")
    assert (read(root / "a.json"), read(root / "c.json")) == (None, b"a.json")
    remove(root / "c.json")
    remove_tree(root / "deeper")
    assert subfolders(root) == []
    assert names(root) == ["b.json"]
