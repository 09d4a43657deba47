import json
from pathlib import Path

import pytest

from pdsearch.errors import ConfigError
from pdsearch.space import load, parse
from pdsearch.space.document import to_plain
from pdsearch.space.overrides import apply_overrides
from pdsearch.space.reader import read_yaml
from tests.space.documents import document
from tests.space.parts import CATALOG


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
    ("text", "what"),
    [
        ("search.trials", "no override"),
        ("=5", "no override"),
        ("search..trials=5", "no override"),
        ("study.name=5", "single value"),
        ("search.trials=[1", "not YAML"),
        ("search.trials=!!int 5", "tag"),
    ],
)
def test_what_is_no_override(text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        apply_overrides(read_yaml(b"study: x\n", "f"), [text])
    assert str(caught.value).startswith("--set ")


def test_a_wrong_value_is_blamed_on_its_override() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document(), ["search.trials=many"], catalog=CATALOG)
    assert caught.value.where == "--set search.trials=many key search.trials"


def test_a_value_that_does_not_fit_the_rest_is_blamed_on_its_override(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(document(search={"trials": 2, "stop": {"halving": {"min_epochs": 1}}})))
    with pytest.raises(ConfigError, match="the first rung, 999, is never reached") as caught:
        load(file, ["search.stop.halving.min_epochs=999"], catalog=CATALOG)
    where = "search.stop.halving.min_epochs"
    assert caught.value.where == f"--set {where}=999 key {where}"
