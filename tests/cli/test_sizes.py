import pytest

from pdsearch.cli.sizes import parse_size, size
from pdsearch.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("1kb", 1000), ("1.5 GB", 1_500_000_000), ("2TB", 2 * 10**12), ("7 B", 7)]
)
def test_a_size_is_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1 GiB", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1500, "1.5 kB"), (123_456, "123 kB"), (2e13, "20 TB")]
)
def test_a_size_is_written(count: float, text: str) -> None:
    assert size(count) == text
