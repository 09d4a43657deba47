"""The URL's options reach S3's file system, and what it does not know is told rather than ignored."""

import pytest

from pdsearch.io import Remote
from pdsearch.io.objects import connect


def test_options_of_the_url_are_taken() -> None:
    query = "region=eu-west-1&endpoint_override=127.0.0.1:9000&scheme=http&allow_bucket_creation=true"
    files, base = connect(Remote("s3://bucket", "a/b", query))
    assert base == "bucket"
    assert files.region == "eu-west-1"


def test_an_endpoint_needs_no_region() -> None:
    files, _ = connect(Remote("s3://bucket", "", "endpoint_override=127.0.0.1:9000&scheme=http"))
    assert files.type_name == "s3"


@pytest.mark.parametrize("query", ["speed=high", "region=a&retries=7"])
def test_an_unknown_option_is_told(query: str) -> None:
    with pytest.raises(ValueError, match="known are region, scheme"):
        connect(Remote("s3://bucket", "", query))


def test_other_storages_go_through_pyarrow() -> None:
    files, base = connect(Remote("gs://anonymous@bucket", "a"))
    assert (files.type_name, base) == ("gcs", "bucket")
