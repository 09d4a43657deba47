import os
import re
from pathlib import Path

import pytest

from pdsearch.config import Halving, Objective, load, parse
from pdsearch.config.yaml_reader import apply_overrides, read_yaml
from pdsearch.config.yaml_tree import to_plain
from pdsearch.errors import ConfigError
from tests.config.documents import document, space

GOOD = """
data: {source: digits}
teacher: {model: convnet_l}
student: {model: from_teacher}
train:
  teacher: {epochs: 2, lr: 0.1, weight_decay: 5e-4}
  distill: &same {epochs: 3, lr: 1e-1}
  recover: *same
confirm: off
search: {stop: off}
"""


def test_a_file_is_a_study_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "my-space.v2.yaml"
    path.write_text(GOOD, encoding="utf-8")
    found = load(path)
    assert found.study == "my-space.v2"
    assert (found.confirm, found.search.stop) == (None, None)
    assert found.resolve({}).teacher.recipe.weight_decay == 5e-4
    assert load(str(path), ["study=other"]).study == "other"


def test_a_file_whose_name_is_no_study_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "my space.yaml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ConfigError, match="'my space' is no name"):
        load(path)
    path.write_text(f"study: mine\n{GOOD}", encoding="utf-8")
    assert load(path).study == "mine"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="a folder"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="is no name of a file"):
        load("a\0b.yaml")


def test_a_document_is_left_as_it_was() -> None:
    given = document()
    parse(given, ["search.trials=3"])
    assert given == document()


def test_whatever_stands_in_a_document_is_refused_in_words() -> None:
    for value in (object(), float("nan"), b"bytes", {1: 2}, None, 10**30, ()):
        with pytest.raises(ConfigError, match="space key"):
            parse(document(search={"trials": value}))
    with pytest.raises(ConfigError, match="space key space"):
        parse(document({"teacher.seed": float("inf")}))


@pytest.mark.parametrize("kind", ["FIFO", "link to a device"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "space.yaml"
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=r"is a (FIFO|device), not a file"):
        load(path)


@pytest.mark.parametrize(
    ("asked", "there", "hint"),
    [
        ("digts.yaml", ("digits.yaml", "other.yaml"), "did you mean digits.yaml?"),
        ("digits.yml", ("sub/digits.yaml",), "pdsearch init"),
        (
            "sub/something.yaml",
            ("sub/digits.yaml", "search_spaces/b.yaml"),
            "there are: search_spaces/b.yaml, sub/digits.yaml",
        ),
        ("b.yaml", ("search_spaces/b.yaml",), "did you mean search_spaces/b.yaml?"),
    ],
)
def test_a_missing_file_is_told_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, there: tuple[str, ...], hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=re.escape(hint)):
        load(asked)


def test_what_a_file_does_not_say_is_filled_in() -> None:
    found = space({}, search={"trials": 2, "stop": {"halving": {"min_epochs": 3}}}, confirm={})
    assert found.objectives == (Objective("student.val_accuracy", "maximize"),)
    assert found.search.stop == Halving("student.val_accuracy", 3, 3)
    assert found.confirm is not None
    assert (found.study, found.confirm.teachers) == ("study", 5)
    assert space({}, objectives=[{"metric": "student.params"}]).objectives[0].goal == "minimize"


def test_a_dense_teacher_has_nothing_of_pruning() -> None:
    names = [name for name, _ in space({}).fixed]
    assert [name for name in names if name.startswith(("prune.", "train.recover."))] == ["prune.method"]
    pruned = dict(space({}, prune={"method": "taylor", "ratio": 0.5}).fixed)
    assert (pruned["prune.ratio"], pruned["train.recover.epochs"]) == (0.5, 6)


def test_only_parts_that_can_be_chosen_have_defaults() -> None:
    assert [part for part, _ in space({}).part_defaults] == ["distill.kd"]
    parts = dict(
        space({"distill.loss": ["kd", "ce"]}, prune={"method": "taylor", "ratio": 0.5}).part_defaults
    )
    assert parts["prune.taylor"] == (("batches", 4), ("layers", (1, 2)))
    assert parts["distill.ce"] == ()


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


@pytest.mark.parametrize("text", ["search.trials", "=5", "search..trials=5"])
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
        ("search.trials=", "no value", "search.trials"),
        ("train.distill.lr=[1]", r"expected a number, got \[1\]", "train.distill.lr"),
        ("train.distill=5", "expected a mapping, got 5", "train.distill"),
        ("distill.alpha=7", "7 is out of range", "distill.alpha"),
        ("student.options.widths=16", "expected a list, got 16", "student.options.widths"),
        (
            "search.stop.halving.min_epochs=999",
            "the first rung, 999, is never reached",
            "search.stop.halving.min_epochs",
        ),
    ],
)
def test_a_wrong_value_is_blamed_on_its_override(text: str, what: str, key: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        parse(document(), [text])
    assert caught.value.where == f"--set {text} key {key}"
    assert caught.value.hint
