import time

import pytest

from pdsearch.config.yaml_reader import MAX_BYTES, read_yaml
from pdsearch.config.yaml_tree import to_plain
from pdsearch.errors import ConfigError


def test_values() -> None:
    root = read_yaml(b"\xef\xbb\xbfa: 5e-4\nb: off\nc: [1, '1', ~]\n", "f")
    assert to_plain(root) == {"a": 5e-4, "b": "off", "c": [1, "1", None]}


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"a: 1\nb: \xff\n", "f:2:4"),
        (b"a: 1\nb: x\x00\n", "f:2:5"),
        (b"a:\n  b: 1\n\tc: 2\n", "f:3:1"),
        (b"a: 'b\n", "f:2:1"),
    ],
)
def test_position(content: bytes, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(content, "f")
    assert caught.value.where == where


def test_size() -> None:
    assert to_plain(read_yaml(b"#" * MAX_BYTES, "f")) is None
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        read_yaml(b"#" * (MAX_BYTES + 1), "f")


@pytest.mark.parametrize(
    "pattern",
    [b"[", b"{a: ", b"- ", b"a,", b"&a ", b"? ", b": ", b"a: 1\n", b"a\n", b"'", b"|\n", b"%", b"a b "],
)
def test_a_megabyte_of_anything_is_read_or_refused_at_once(pattern: bytes) -> None:
    start = time.process_time()
    with pytest.raises(ConfigError):
        read_yaml((pattern * MAX_BYTES)[:MAX_BYTES], "f")
    assert time.process_time() - start < 1.0
