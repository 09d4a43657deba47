"""A pinned space is a legal space file, and resolves to the very trial it was made from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdsearch.config import load, parse
from pdsearch.exporting import pinned_space, to_yaml
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec

RECIPE = Recipe(epochs=3, lr=5e-05, milestones=(1, 2), select="best_val", warmup_epochs=1)
SPEC = TrialSpec(
    data=DataSpec(source="digits", val_fraction=0.3, split_seed=7, augment="crop", subset=100),
    teacher=TeacherSpec(model="convnet_l", seed=3, recipe=RECIPE, options=(("widths", (4, 8)),)),
    student=StudentSpec(model="convnet_s", options=(("widths", (2, 4)),)),
    distill=DistillSpec(
        recipe=replace(RECIPE, schedule="cosine", optimizer="adam"),
        params=(("alpha", 0.95), ("standardise", False), ("temperature", 1.1458197897911848)),
        seed=11,
        view_seed=12,
    ),
)
PRUNED = PruneSpec(method="magnitude", ratio=0.59, recipe=replace(RECIPE, lr=0.01), exclude=("stem*",))

CASES = {
    "unpruned": SPEC,
    "alone": replace(SPEC, distill=replace(SPEC.distill, loss="ce", params=())),
    "pruned": replace(SPEC, prune=PRUNED),
    "linear": replace(SPEC, prune=replace(PRUNED, schedule="linear", rounds=3, scope="layer")),
    "at init": replace(SPEC, prune=replace(PRUNED, at="init", recipe=SPEC.teacher.recipe)),
    "no recovery": replace(SPEC, prune=replace(PRUNED, recovery="none", recipe=Recipe(epochs=1, lr=1.0))),
    "from teacher": replace(SPEC, prune=PRUNED, student=StudentSpec(model="from_teacher")),
    "kept": replace(SPEC, prune=PRUNED, student=StudentSpec("from_teacher", init="kept")),
    "kept baseline": replace(SPEC, student=StudentSpec("from_teacher", init="kept", start=PRUNED)),
    "narrow": replace(SPEC, student=StudentSpec("resnet8", widths=(("stem.0.weight", 8),))),
    "bf16": replace(SPEC, precision="bf16"),
    "odd root": replace(SPEC, data=replace(SPEC.data, root="1e3")),
}


@pytest.mark.parametrize("name", CASES)
def test_the_file_resolves_to_the_trial(tmp_path: Path, name: str) -> None:
    document = pinned_space(CASES[name], study="again", resources={"cpu": 2, "gpu": 0})
    (tmp_path / "config.yaml").write_text(to_yaml(document), encoding="utf-8")
    space = load(tmp_path / "config.yaml")
    assert (space.study, space.parameters, space.search.trials, space.confirm) == ("again", (), 1, None)
    assert space.resolve({}) == CASES[name]
    assert space.resources.cpu == 2


def test_every_field_of_a_trial_is_pinned() -> None:
    """Nothing is left to a default that may change."""
    before = parse(pinned_space(CASES["pruned"], study="again")).to_json()
    document = pinned_space(CASES["pruned"], study="again")
    for section in ("data", "teacher", "student", "train", "prune", "distill"):
        named: Any = before[section]
        assert set(document[section]) == set(named), section


@pytest.mark.parametrize(
    "text", ["1e3", "off", "yes", "null", "0o7", ".inf", "-1", "~", "a: b", "# c", "", "1_000"]
)
def test_texts_stay_texts(text: str) -> None:
    written = to_yaml({"a": text})
    assert yaml.safe_load(written) == {"a": text}
    if text[:1] in "01.-~":
        assert f'"{text}"' in written


@pytest.mark.parametrize("head", ["keep", "fresh"])
def test_a_teacher_from_a_file_is_pinned_by_its_file_and_by_how_it_is_trained(head: str) -> None:
    recipe = Recipe(epochs=1, lr=1.0) if head == "keep" else SPEC.teacher.recipe
    outside = replace(SPEC.teacher, checkpoint="/there/teacher.pth", recipe=recipe, head=head)
    spec = replace(SPEC, prune=PRUNED, teacher=outside)
    found = replace(spec, teacher=replace(outside, fingerprint="f" * 64))
    assert parse(pinned_space(found, study="again")).resolve({}) == spec
