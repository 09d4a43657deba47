import pytest

from pdsearch.config.yaml_reader import MAX_DEPTH, MAX_NODES, read_yaml
from pdsearch.config.yaml_tree import Mark, mark_of, to_plain
from pdsearch.errors import ConfigError


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


def test_all_duplicates_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(b"a: 1\na: 2\nb: 1\nb: 2\n", "f")
    assert "first on line 1, again on line 2" in str(caught.value)
    assert "first on line 3, again on line 4" in str(caught.value)


def test_an_anchor_stands_once() -> None:
    with pytest.raises(ConfigError, match="&x stands twice") as caught:
        read_yaml(b"a: &x 1\nb: &x 2\n", "f")
    assert caught.value.where == "f:2:4"
