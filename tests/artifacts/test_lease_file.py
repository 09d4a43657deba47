"""A lease file is created by one and removed only while it names the same owner."""

import os
from pathlib import Path

from pdsearch.artifacts.leases.file_lease import claim, parse, read, record, remove
from pdsearch.artifacts.leases.owner import this_owner


def test_a_record_comes_back() -> None:
    owner = this_owner()
    assert parse(record(owner, 7)) == owner
    assert len(record(owner, 0)) == len(record(owner, 10**9))


def test_a_taken_path_is_not_claimed(tmp_path: Path) -> None:
    path, first, second = tmp_path / "lease", record(this_owner(), 0), record(this_owner(), 0)
    descriptor = claim(path, first)
    assert descriptor is not None
    assert claim(path, second) is None
    assert read(path) == os.pread(descriptor, 4096, 0) == first
    assert os.listdir(tmp_path) == ["lease"]
    os.close(descriptor)


def test_only_the_judged_owner_is_removed(tmp_path: Path) -> None:
    path, dead, heir = tmp_path / "lease", record(this_owner(), 3), record(this_owner(), 0)
    path.write_bytes(heir)
    remove(path, dead)
    assert read(path) == heir
    remove(path, heir)
    assert read(path) == b""
    remove(path, heir)
    assert os.listdir(tmp_path) == []


def test_an_empty_file_is_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "lease").touch()
    assert read(tmp_path / "lease") != read(tmp_path / "none") == b""
    assert parse(read(tmp_path / "lease")) is None
