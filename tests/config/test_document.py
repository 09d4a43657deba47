from pdsearch.config.yaml_reader import read_yaml
from pdsearch.config.yaml_tree import Mark, dotted, from_plain, mark_of, node_at, shorten, to_plain


def test_plain_values_survive() -> None:
    value = {"a": [1, {"b": None}], "c": "d"}
    assert to_plain(from_plain(value, Mark("dict"))) == value


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
