import json
import re
from pathlib import Path

import pytest

from pdsearch.config import load, parse
from pdsearch.config.yaml_reader import apply_overrides, read_yaml
from pdsearch.config.yaml_tree import to_plain
from pdsearch.errors import ConfigError
from tests.config.documents import document
from tests.config.parts import CATALOG


def test_values_are_put_in_place() -> None:
    root = read_yaml(b"search: {trials: 3, seed: 1}\nspace: {prune.ratio: [0.3]}\n", "f")
    changed = apply_overrides(
        root, ["search.trials=5", "space.prune.ratio=[0.5, 0.6]", "train.distill.lr=5e-4"]
    )
    assert to_plain(changed) == {
        "search": {"trials": 5, "seed": 1},
        "space": {"prune.ratio": [0.5, 0.6]},
        "train": {"distill": {"lr": 5e-4}},
    }
    assert to_plain(root) == {"search": {"trials": 3, "seed": 1}, "space": {"prune.ratio": [0.3]}}


def test_the_last_one_wins_and_equals_signs_belong_to_the_value() -> None:
    root = apply_overrides(read_yaml(b"{}", "f"), ["data.root=a=b", "search.seed=1", "search.seed=2"])
    assert to_plain(root) == {"data": {"root": "a=b"}, "search": {"seed": 2}}


@pytest.mark.parametrize(
    "text",
    ["search.trials", "=5", "search..trials=5"],
)
def test_what_is_no_override(text: str) -> None:
    with pytest.raises(ConfigError, match="no override") as caught:
        apply_overrides(read_yaml(b"study: x\n", "f"), [text])
    assert caught.value.where == f"--set {text}"


@pytest.mark.parametrize(
    ("text", "what", "key"),
    [
        ("study.name=5", "it leads into a single value", "study.name"),
        ("constraints.0=5", "it leads into a list", "constraints.0"),
        ("search.trials=[1", "not YAML", "search.trials"),
        ("search.trials=!!int 5", "the tag .* is not allowed", "search.trials"),
        ("search.trials=\x01", "a control character", "search.trials"),
        ("search.trials=99999999999999999999", "does not fit 64 bits", "search.trials"),
        ("search={trials: 5, trials: 6}", "the key 'trials' stands twice$", "search.trials"),
        ("train.distill.lr=.nan", ".nan is not a finite number", "train.distill.lr"),
        ("train.distill={lr: .inf}", ".inf is not a finite number", "train.distill.lr"),
        ("train.distill.milestones=[1, .nan]", "finite", "train.distill.milestones[1]"),
        ("space.prune.ratio={low: .nan, high: 1}", "finite", "space.prune.ratio.low"),
    ],
)
def test_what_cannot_be_put_in_place_names_its_key_and_that_it_was_set(
    text: str, what: str, key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        apply_overrides(read_yaml(b"study: x\nconstraints: [y]\n", "f"), [text])
    assert caught.value.where == f"--set {text} key {key}".replace("\x01", "\\x01")
    assert re.search(what, caught.value.what)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "what", "key"),
    [
        ("search.trials=many", "expected a whole number, got 'many'", "search.trials"),
        ("search.trials=", "no value", "search.trials"),
        ("train.distill.lr=[1]", r"expected a number, got \[1\]", "train.distill.lr"),
        ("train.distill=5", "expected a mapping, got 5", "train.distill"),
        ("train.distill.lrr=1", "unknown key 'lrr'", "train.distill.lrr"),
        ("distill.alpha=7", "7 is out of range", "distill.alpha"),
        ("constraints=5", "expected a list, got 5", "constraints"),
        ("student.options.widths=16", "expected a list, got 16", "student.options.widths"),
        ("space.prune.ratio=[2]", "2 is out of range", "space.prune.ratio[0]"),
        ("space.prune.ratoi=[0.5]", "nothing is called 'prune.ratoi'", "space.prune.ratoi"),
    ],
)
def test_a_wrong_value_is_blamed_on_its_override(text: str, what: str, key: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse(document(), [text], catalog=CATALOG)
    assert caught.value.where == f"--set {text} key {key}"
    assert caught.value.hint


def test_a_value_that_does_not_fit_the_rest_is_blamed_on_its_override(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(document(search={"trials": 2, "stop": {"halving": {"min_epochs": 1}}})))
    with pytest.raises(ConfigError, match="the first rung, 999, is never reached") as caught:
        load(file, ["search.stop.halving.min_epochs=999"], catalog=CATALOG)
    where = "search.stop.halving.min_epochs"
    assert caught.value.where == f"--set {where}=999 key {where}"
