import copy
import pickle
from typing import Any

import pytest

from pdsearch.config import Parameter, parse
from pdsearch.config.resolve import NOT_TRAINED, in_order, points_of
from pdsearch.errors import ConfigError
from pdsearch.specs import DataSpec, DistillSpec, PruneSpec, Recipe, StudentSpec, TeacherSpec, TrialSpec
from tests.config.documents import RECIPES, SEARCHED, space

TEACHER = Recipe(epochs=20, lr=0.1, milestones=(10, 15))
RECOVER = Recipe(epochs=6, lr=0.05)
VALUES = {"prune.method": "taylor", "prune.ratio": 0.59, "distill.temperature": 3}


def pruned(**prune: Any) -> PruneSpec:
    spec = space({}, prune={"method": "magnitude", "ratio": 0.5, **prune}).resolve({}).prune
    assert spec is not None
    return spec


def test_a_trial_whole() -> None:
    data = {"source": "parquet", "subset": 100, "options": {"label": "fine"}}
    student = {"model": "convnet_s", "options": {"widths": [4, 8]}}
    assert space(data=data, student=student, precision="bf16").resolve(VALUES) == TrialSpec(
        data=DataSpec(source="parquet", subset=100, options=(("label", "fine"),)),
        teacher=TeacherSpec("convnet_l", 0, TEACHER),
        student=StudentSpec("convnet_s", (("widths", (4, 8)),)),
        distill=DistillSpec(
            Recipe(epochs=27, lr=0.1), params=(("alpha", 0.95), ("standardise", False), ("temperature", 3.0))
        ),
        prune=PruneSpec("taylor", 0.59, RECOVER, params=(("batches", 4), ("layers", (1, 2)))),
        precision="bf16",
    )


def test_numbers_have_the_type_of_their_field() -> None:
    recipes = {"teacher": {"epochs": 1, "lr": 1}, "distill": {"epochs": 1, "lr": 1}}
    spec = space({"distill.alpha": {"low": 0, "high": 1}}, train=recipes).resolve({"distill.alpha": 1})
    assert repr((spec.teacher.recipe.lr, dict(spec.distill.params)["alpha"])) == "(1.0, 1.0)"


def test_what_has_no_effect_leaves_no_trace() -> None:
    assert pruned(rounds=5).rounds == 1
    assert pruned(rounds=5, schedule="linear").rounds == 5
    assert pruned(recovery="none").recipe == NOT_TRAINED
    at_init = pruned(at="init", recovery="none")
    assert (at_init.recipe, at_init.recovery) == (TEACHER, "lr_rewind")


def test_a_parameter_that_does_not_count_has_its_default() -> None:
    searched = {
        "distill.loss": ["kd", "margin", "ce"],
        "distill.temperature": {"low": 1, "high": 20, "when": {"distill.loss": ["kd"]}},
    }
    found = space(searched, distill={"alpha": 0.5})
    kd = found.resolve({"distill.loss": "kd", "distill.temperature": 7.5})
    assert dict(kd.distill.params) == {"alpha": 0.5, "standardise": False, "temperature": 7.5}
    margin = found.resolve({"distill.loss": "margin"})
    assert dict(margin.distill.params) == {"margin": 1.0, "temperature": 2.0}
    assert found.resolve({"distill.loss": "ce"}).distill.params == ()
    augment = {
        "prune.method": ["none", "taylor"],
        "data.augment": {"choices": ["crop"], "when": {"prune.method": "none"}},
    }
    spec = space(augment, prune={"ratio": 0.5}).resolve({"prune.method": "taylor"})
    assert spec.data.augment == "none"


def test_chosen_lists_become_tuples() -> None:
    found = space({"train.distill.milestones": [[5, 10], [10]], "student.options.widths": [[4, 8]]})
    spec = found.resolve({"train.distill.milestones": "[5, 10]", "student.options.widths": "[4, 8]"})
    assert spec.distill.recipe.milestones == (5, 10)
    assert spec.student.options == (("widths", (4, 8)),)


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"prune.method": "none"}, r"distill\.temperature has no value"),
        ({**VALUES, "prune.ratio": 0.5}, r"prune\.ratio cannot be 0\.5"),
        ({**VALUES, "prune.method": "none"}, r"prune\.ratio does not count here"),
        ({**VALUES, "distill.temperature": 21}, r"cannot be 21"),
        ({**VALUES, "distill.temperature": float("nan")}, r"cannot be nan"),
        ({**VALUES, "distill.temperature": "3"}, r"must be a number"),
        ({**VALUES, "distill.temperature": True}, r"must be a number"),
        ({**VALUES, "distill.temprature": 3}, r"is not searched"),
    ],
)
def test_illegal_values_are_refused(params: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        space().resolve(params)


@pytest.mark.parametrize("value", [32.5, float("inf"), 31])
def test_whole_numbers_stay_whole(value: float) -> None:
    found = space({"train.teacher.batch_size": {"low": 32, "high": 64}})
    with pytest.raises(ConfigError, match="batch_size"):
        found.resolve({"train.teacher.batch_size": value})
    assert repr(found.resolve({"train.teacher.batch_size": 48.0}).teacher.recipe.batch_size) == "48"


def test_defaults_are_the_middle() -> None:
    assert space().defaults() == {"prune.method": "none", "distill.temperature": pytest.approx(20**0.5)}
    found = space(
        {
            "prune.method": ["taylor"],
            "prune.ratio": [0.5, 0.9],
            "distill.alpha": {"low": 0.1, "high": 0.9, "step": 0.4},
            "train.teacher.batch_size": {"low": 32, "high": 128, "log": True},
            "teacher.seed": {"low": 0, "high": 9, "step": 3},
        }
    )
    assert found.defaults() == {
        "prune.method": "taylor",
        "prune.ratio": 0.5,
        "distill.alpha": 0.5,
        "train.teacher.batch_size": 64,
        "teacher.seed": 6,
    }
    found.resolve(found.defaults())


def test_unpruned_leaves_the_teacher_dense_and_all_else_as_it_was() -> None:
    searched = {
        **SEARCHED,
        "prune.at": {"choices": ["trained", "init"], "when": {"prune.method": ["magnitude", "taylor"]}},
        "distill.alpha": {"low": 0, "high": 1, "when": {"prune.method": ["none", "taylor"]}},
        "teacher.seed": {"choices": [1, 2], "when": {"prune.method": "taylor"}},
        "train.recover.lr": {"choices": [0.1], "when": {"prune.at": "trained"}},
        "data.augment": {"choices": ["crop"], "when": {"prune.at": "trained"}},
    }
    recipes = {
        "teacher": {"epochs": 9, "lr": 0.1},
        "recover": {"epochs": 3},
        "distill": {"epochs": 9, "lr": 0.1},
    }
    full = space(searched, train=recipes)
    dense = full.unpruned()
    assert [p.name for p in dense.parameters] == ["distill.alpha", "distill.temperature"]
    assert all(not p.when for p in dense.parameters)
    values = {"distill.alpha": 0.5, "distill.temperature": 3.0}
    assert dense.resolve(values) == full.resolve({"prune.method": "none", **values})
    assert dense.unpruned() == dense
    assert parse(dense.to_json()) == dense


def test_a_parameter_that_a_loss_got_later_is_no_part_of_a_trial_that_does_not_use_it() -> None:
    """So that keys, and studies, from before it stay what they are."""
    document = {
        "data": {"source": "digits"},
        "teacher": {"model": "convnet_s"},
        "student": {"model": "convnet_s"},
        "train": {"teacher": {"epochs": 2, "lr": 0.1}, "distill": {"epochs": 2, "lr": 0.1}},
    }
    without, named, used = (
        parse({**document, "distill": {"loss": "dkd", **given}})
        for given in ({}, {"warmup_epochs": 0}, {"warmup_epochs": 20})
    )
    assert "warmup_epochs" not in dict(without.resolve({}).distill.params)
    assert named.resolve({}) == without.resolve({})
    assert dict(used.resolve({}).distill.params)["warmup_epochs"] == 20
    assert list(used.resolve({}).distill.params) == sorted(used.resolve({}).distill.params)
    assert "warmup_epochs" not in str(without.identity()["defaults"])
    assert "warmup_epochs" in str(used.identity()["distill"])
    searched = {
        "space": {"distill.warmup_epochs": [0, 5]},
        "search": {"trials": 2},
        "distill": {"loss": "dkd"},
    }
    space = parse({**document, **searched})
    found = [dict(space.resolve({"distill.warmup_epochs": n}).distill.params) for n in (0, 5)]
    assert [params.get("warmup_epochs") for params in found] == [None, 5]


def choice(name: str, *values: Any, when: dict[str, tuple[Any, ...]] | None = None) -> Parameter:
    return Parameter(name, "categorical", choices=values, when=when or {})


def test_a_condition_leaves_out_what_does_not_count() -> None:
    ratio = choice("ratio", 0.36, 0.59, when={"method": ("magnitude",)})
    found = points_of([choice("method", "none", "magnitude"), ratio], limit=10)
    assert found == [
        {"method": "none"},
        {"method": "magnitude", "ratio": 0.36},
        {"method": "magnitude", "ratio": 0.59},
    ]


def test_steps_reach_the_end_of_their_range_and_keep_their_type() -> None:
    assert points_of([Parameter("epochs", "int", low=1, high=5, step=2)], limit=10) == [
        {"epochs": 1},
        {"epochs": 3},
        {"epochs": 5},
    ]


def test_a_range_is_of_its_field_s_kind_however_its_ends_are_written() -> None:
    """`lr: {low: 1, high: 3}` was searched in whole numbers."""
    train = {**RECIPES, "distill": {"epochs": 6}}
    found = space({"train.distill.lr": {"low": 1, "high": 3}}, train=train, prune=None)
    assert [p.kind for p in found.parameters] == ["float"]


def test_a_continuous_range_has_no_list() -> None:
    assert points_of([choice("a", 1), Parameter("t", "float", low=1.0, high=20.0)], limit=10) is None


def test_too_many_points_are_not_listed() -> None:
    assert points_of([Parameter("teacher.seed", "int", low=0, high=2**62)], limit=10) is None
    assert space({"teacher.seed": {"low": 0, "high": 10**9}}).parameters
    assert points_of([choice("a", 1, 2, 3), choice("b", 1, 2, 3)], limit=9) is not None
    assert points_of([choice("a", 1, 2, 3), choice("b", 1, 2, 3)], limit=8) is None


def test_a_space_without_parameters_is_one_point() -> None:
    assert points_of([], limit=1) == [{}]


def test_steps_are_exact_decimals_within_the_range() -> None:
    found = points_of([Parameter("distill.alpha", "float", low=0.1, high=0.7, step=0.2)], limit=10)
    assert found == [{"distill.alpha": value} for value in (0.1, 0.3, 0.5, 0.7)]


def test_parents_come_first_and_the_file_order_never_matters() -> None:
    chain = {
        "c": Parameter("c", "int", low=1, high=2),
        "a": Parameter("a", "int", low=1, high=2, when={"b": (1,)}),
        "b": Parameter("b", "categorical", choices=(1, 2)),
    }
    assert [p.name for p in in_order(chain)] == ["b", "c", "a"]
    assert in_order(dict(reversed(chain.items()))) == in_order(chain)
    assert space(dict(reversed(SEARCHED.items()))) == space()


def test_a_parameter_counts_where_all_its_conditions_hold() -> None:
    parameter = Parameter("x", "int", low=1, high=2, when={"a": (1, 2), "b": ("c",)})
    assert parameter.active({"a": 2, "b": "c"})
    assert not parameter.active({"a": 3, "b": "c"})
    assert not parameter.active({"b": "c"})
    assert Parameter("x", "int", low=1, high=2).active({})


def test_a_space_is_frozen_hashable_and_travels() -> None:
    found = space()
    with pytest.raises(AttributeError):
        found.study = "other"  # type: ignore[misc]
    assert hash(copy.deepcopy(found)) == hash(found)
    assert pickle.loads(pickle.dumps(found)) == found
