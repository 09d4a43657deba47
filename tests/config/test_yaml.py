import time

import pytest

from pdsearch.config.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, read_yaml, resolve_scalar
from pdsearch.config.yaml_tree import Mark, dotted, mark_of, node_at, shorten, to_plain
from pdsearch.errors import ConfigError


def test_values() -> None:
    root = read_yaml(b"\xef\xbb\xbfa: 5e-4\nb: off\nc: [1, '1', ~]\n", "f")
    assert to_plain(root) == {"a": 5e-4, "b": "off", "c": [1, "1", None]}


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"a: 1\nb: \xff\n", "f:2:4", "not a text file in UTF-8"),
        (b"a: 1\nb: x\x00\n", "f:2:5", "a control character"),
        (b"a:\n  b: 1\n\tc: 2\n", "f:3:1", "a tab cannot indent"),
        (b"a: 'b\n", "f:2:1", "not YAML"),
    ],
)
def test_position(content: bytes, where: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
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


def test_every_key_and_value_knows_its_position() -> None:
    root = read_yaml(b"a:\n  b: [1,\n      2]\n", "f")
    assert mark_of(root, ("a", "b"), key=True) == Mark("f", 2, 3)
    assert mark_of(root, ("a", "b")) == Mark("f", 2, 6)
    assert mark_of(root, ("a", "b", 1)) == Mark("f", 3, 7)


def test_aliases_stand_for_their_anchors() -> None:
    assert to_plain(read_yaml(b"a: &x {b: 1}\nc: *x\nd: *x\n", "f")) == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1},
    }


def test_depth_is_bounded_and_reached() -> None:
    read_yaml(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f")
    with pytest.raises(ConfigError, match="deeper"):
        read_yaml(b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "f")


def test_depth_counts_through_aliases() -> None:
    chain = b"a0: &a0 [1]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (i, i, i - 1) for i in range(1, 30))
    with pytest.raises(ConfigError, match="deeper"):
        read_yaml(chain, "f")


def test_count_is_bounded_through_aliases() -> None:
    listed = b"a: &a [" + b"1, " * 999 + b"1]\n"
    read_yaml(listed + b"b: [*a]\n", "f")
    with pytest.raises(ConfigError, match="values"):
        read_yaml(listed + b"b: [" + b"*a, " * (MAX_NODES // 1000) + b"*a]\n", "f")


def test_keys_are_words() -> None:
    assert to_plain(read_yaml(b"1: a\noff: b\n'c': d\n", "f")) == {"1": "a", "off": "b", "c": "d"}
    assert to_plain(read_yaml(b"a: &x b\n*x : 2\n", "f")) == {"a": "b", "b": 2}
    for text in (b"[a]: 1\n", b"? {a: 1}\n: 2\n"):
        with pytest.raises(ConfigError, match="plain word"):
            read_yaml(text, "f")


def test_an_anchor_stands_once() -> None:
    with pytest.raises(ConfigError, match="&x stands twice") as caught:
        read_yaml(b"a: &x 1\nb: &x 2\n", "f")
    assert caught.value.where == "f:2:4"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 5e-4),
        ("5.0e-4", 5e-4),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-3.", -3.0),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("+7", 7),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    found = resolve_scalar(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["off", "yes", "No", "1_000", "12:30", "2026-01-01", "0b11", "e5", ".", "1e", "<<"]
)
def test_words(text: str) -> None:
    assert resolve_scalar(text) == text


@pytest.mark.parametrize(
    "text", [".nan", ".inf", "-.INF", "1e999", "9" * 30, "0." + "1" * 60, "-9223372036854775809"]
)
def test_numbers_that_fit_nowhere(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|fit"):
        resolve_scalar(text)


def test_the_nearest_position_stands_in() -> None:
    root = read_yaml(b"a: {b: 1}\n", "f")
    assert mark_of(root, ("a", "x", 0, "y")) == Mark("f", 1, 4)
    assert node_at(root, ("a", "b", "c")) is None


def test_paths_and_marks_read_well() -> None:
    assert dotted(("space", "prune.ratio", "choices", 1)) == "space.prune.ratio.choices[1]"
    assert str(Mark("f.yaml", 3, 5)) == "f.yaml:3:5"
    assert str(Mark("--set a=1")) == "--set a=1"


def test_texts_stay_on_one_short_line() -> None:
    assert shorten("a\nb\u202ec") == "a\\nb\\u202ec"
    assert shorten("x" * 1000) == "x" * 57 + "..."
