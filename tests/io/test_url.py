"""What is no URL of a storage is told with what to write instead, and no secret is ever repeated."""

import pytest

from pdsearch.io.url import SCHEMES, flaw, is_url
from pdsearch.redaction import redacted

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
