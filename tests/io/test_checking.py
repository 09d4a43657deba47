"""A storage that cannot be used is told in one message, at once, and nothing is left in one that can."""

import time
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.io import Remote, StorageAwayError, StorageDeniedError, check, place
from pdsearch.io.objects import objects_at
from tests.s3_server import S3Server


def test_a_good_one_is_left_as_it_was(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    root = place(s3.url(f"{bucket}/runs"))
    assert isinstance(root, Remote)
    check(root)
    assert objects_at(root).below("", deep=True) == []
    check(tmp_path / "nowhere")


def test_what_is_wrong_is_told_within_seconds(s3: S3Server, bucket: str) -> None:
    began = time.monotonic()
    with pytest.raises(StorageDeniedError, match=f"{bucket}-not/runs.*no such bucket"):
        check(place(s3.url(f"{bucket}-not/runs")))
    with pytest.raises(StorageAwayError, match=r"endpoint_override=127\.0\.0\.1:1.*does not answer"):
        check(place(f"s3://{bucket}/runs?endpoint_override=127.0.0.1:1&scheme=http"))
    with pytest.raises(ConfigError, match="speed"):
        check(place(f"s3://{bucket}/runs?speed=high"))
    assert time.monotonic() - began < 30
