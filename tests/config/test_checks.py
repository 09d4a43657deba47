from typing import Any

import pytest

from pdsearch.config import Halving, Parameter
from pdsearch.config.checks.applicability import Reach
from pdsearch.errors import ConfigError
from tests.config.documents import RECIPES, SEARCHED, space

DENSE = {"distill.temperature": [1, 4]}


def train(**recipes: Any) -> dict[str, Any]:
    return {name: {**recipe, **recipes.get(name, {})} for name, recipe in RECIPES.items()}


def test_nothing_pruned_needs_no_recovery() -> None:
    recipes = {name: RECIPES[name] for name in ("teacher", "distill")}
    assert space(DENSE, train=recipes).parameters
    fixed = {"method": "taylor", "ratio": 0.5}
    assert space(DENSE, train=recipes, prune={**fixed, "recovery": "none"}).parameters
    assert space(DENSE, train=recipes, prune={**fixed, "at": "init"}).parameters
    with pytest.raises(ConfigError, match=r"train\.recover\.lr is missing"):
        space(DENSE, train=recipes, prune=fixed)


def test_what_is_searched_may_be_missing_from_its_section() -> None:
    recipes = train() | {"distill": {"epochs": 27}}
    searched = {
        **SEARCHED,
        "train.distill.lr": {"low": 0.01, "high": 0.2, "log": True},
        "teacher.model": ["convnet_l", "resnet20"],
    }
    assert len(space(searched, train=recipes, teacher=None).parameters) == 5


@pytest.mark.parametrize("epochs", [[9, 27], {"low": 9, "high": 27}])
def test_epochs_are_judged_by_the_fewest(epochs: Any) -> None:
    recipes = train() | {"distill": {"lr": 0.1, "milestones": [8]}}
    searched = {"train.distill.epochs": epochs}
    found = space(searched, train=recipes, search={"trials": 2, "stop": {"halving": {"min_epochs": 8}}})
    assert found.search.stop == Halving("student.val_accuracy", 8, 3)
    with pytest.raises(ConfigError, match="9, is never reached in 9 epochs"):
        space(searched, train=recipes, search={"trials": 2, "stop": {"halving": {"min_epochs": 9}}})
    recipes["distill"]["milestones"] = [9]
    with pytest.raises(ConfigError, match="9 is never reached in 9 epochs"):
        space(searched, train=recipes)


def test_every_choice_of_milestones_is_judged() -> None:
    with pytest.raises(ConfigError, match="25 is never reached in 20"):
        space(
            {"train.teacher.milestones": [[5, 10], [5, 25]]},
            train=train() | {"teacher": {"epochs": 20, "lr": 1}},
        )


def test_a_required_field_may_depend_on_a_choice_only_where_it_is_not_needed() -> None:
    with pytest.raises(ConfigError, match=r"train\.distill\.lr is missing where distill\.loss is 'ce'"):
        space(
            {
                "distill.loss": ["kd", "ce"],
                "train.distill.lr": {"choices": [0.1], "when": {"distill.loss": "kd"}},
            },
            train=train() | {"distill": {"epochs": 3}},
        )


def test_one_cycle_needs_no_warm_up() -> None:
    cycle = {"schedule": "one_cycle", "peak": 0.4, "ema": 0.999, "decay_norms": False}
    recipe = space(DENSE, train=train(distill=cycle)).resolve({"distill.temperature": 1}).distill.recipe
    assert (recipe.schedule, recipe.peak, recipe.ema, recipe.decay_norms) == ("one_cycle", 0.4, 0.999, False)
    with pytest.raises(ConfigError, match="warms up by itself"):
        space(DENSE, train=train(distill={**cycle, "warmup_epochs": 2}))


def test_a_warm_up_may_go_with_the_other_schedules() -> None:
    schedules = {"train.distill.schedule": ["cosine", "one_cycle"]}
    warmup = {"choices": [0, 5], "when": {"train.distill.schedule": ["cosine"]}}
    assert space({**schedules, "train.distill.warmup_epochs": warmup}).parameters
    for searched in ([0, 5], {**warmup, "when": {"train.distill.schedule": ["cosine", "one_cycle"]}}):
        with pytest.raises(ConfigError, match="warms up by itself"):
            space({**schedules, "train.distill.warmup_epochs": searched})


def test_a_teacher_from_a_file_needs_no_recipe() -> None:
    recipes = {name: RECIPES[name] for name in ("recover", "distill")}
    teacher = {"model": "convnet_l", "checkpoint": "there/teacher.pth"}
    found = space({**SEARCHED, "prune.method": ["magnitude", "taylor"]}, train=recipes, teacher=teacher)
    spec = found.resolve({"prune.method": "magnitude", "prune.ratio": 0.36, "distill.temperature": 2.0})
    assert (spec.teacher.checkpoint, spec.teacher.fingerprint) == ("there/teacher.pth", "")
    with pytest.raises(ConfigError, match=r"train\.teacher\.epochs is missing"):
        space(train=recipes)
    searched = {"train.teacher.lr": [0.1, 0.2]}
    with pytest.raises(
        ConfigError, match=r"train\.teacher\.lr has no effect where teacher\.checkpoint is there"
    ):
        space(searched, train=recipes, teacher=teacher)


def test_a_fresh_head_is_trained_by_the_recipe() -> None:
    teacher = {"model": "convnet_l", "checkpoint": "there.pth.tar", "head": "fresh"}
    found = space({}, teacher=teacher, search=None, confirm={"teachers": 1, "teacher_seeds": 3}).resolve({})
    assert (found.teacher.trained_here, found.teacher.recipe.epochs) == (True, 20)
    recipes = {name: RECIPES[name] for name in ("recover", "distill")}
    with pytest.raises(ConfigError, match=r"train\.teacher\.epochs is missing"):
        space(train=recipes, teacher=teacher)


@pytest.mark.parametrize("given", [{"head": "fresh"}, {"checkpoint_key": "state_dict_ema"}])
def test_what_is_said_of_a_file_needs_one(given: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"has no effect without a checkpoint"):
        space(teacher={"model": "convnet_l", **given})
    file = {"model": "convnet_l", "checkpoint": "there.pth"}
    assert space(teacher={**file, **given}).identity() != space(teacher=file).identity()
    assert space(teacher={**file, "head": "keep"}).identity() == space(teacher=file).identity()


def test_a_file_of_one_architecture_beside_another_that_is_trained() -> None:
    searched = {
        "teacher.model": ["convnet_l", "resnet20"],
        "teacher.checkpoint": {"choices": ["l.pth"], "when": {"teacher.model": ["convnet_l"]}},
    }
    found = space(searched, teacher=None)
    read = found.resolve({"teacher.model": "convnet_l", "teacher.checkpoint": "l.pth"}).teacher
    trained = found.resolve({"teacher.model": "resnet20"}).teacher
    assert (read.checkpoint, trained.checkpoint) == ("l.pth", None)
    assert (read.recipe.epochs, trained.recipe.epochs) == (1, 20)


@pytest.mark.parametrize(
    ("prune", "message"),
    [
        ({"at": "init"}, "no initial weights to prune"),
        ({"recovery": "rewind"}, "no initial weights to rewind"),
    ],
)
def test_a_file_holds_no_initial_weights(prune: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        space(teacher={"model": "convnet_l", "checkpoint": "there.pth"}, prune=prune)


def test_a_file_is_one_teacher_and_not_several() -> None:
    with pytest.raises(ConfigError, match="no seed to train another with"):
        space(
            teacher={"model": "convnet_l", "checkpoint": "there.pth"},
            confirm={"teachers": 1, "teacher_seeds": 3},
        )


def test_a_file_of_weights_is_known_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"ends in \.safetensors, \.pth, \.pt"):
        space(teacher={"model": "convnet_l", "checkpoint": "weights.zip"})


def test_a_moved_file_is_the_same_study() -> None:
    teacher = {"model": "convnet_l", "checkpoint": "there.pth"}
    assert (
        space(teacher=teacher).identity()
        == space(None, "teacher.checkpoint=here.pth", teacher=teacher).identity()
    )


def test_an_early_epoch_belongs_to_rewinding() -> None:
    methods = {**SEARCHED, "prune.method": ["magnitude", "taylor"]}
    found = space(methods, prune={"recovery": "rewind", "rewind_epoch": 3})
    point = {"prune.method": "magnitude", "prune.ratio": 0.36, "distill.temperature": 1.0}
    pruning = found.resolve(point).prune
    assert pruning is not None
    assert pruning.rewind_epoch == 3
    with pytest.raises(ConfigError, match="no recovery rewinds weights"):
        space(methods, prune={"rewind_epoch": 3})
    with pytest.raises(ConfigError, match="epoch 20 is not an early one of 20"):
        space(methods, prune={"recovery": "rewind", "rewind_epoch": 20})
    searched = {"prune.recovery": ["rewind", "finetune"], "prune.rewind_epoch": [0, 3]}
    with pytest.raises(ConfigError, match=r"no effect where prune\.recovery is finetune"):
        space({**methods, **searched})
    when = {"choices": [0, 3], "when": {"prune.recovery": ["rewind"]}}
    assert space({**methods, **searched, "prune.rewind_epoch": when}).parameters


@pytest.mark.parametrize(
    ("sections", "what", "where"),
    [
        ({"distill": {"alpha": 7}}, "7 is out of range", "distill.alpha"),
        (
            {"prune": {"method": "taylor", "ratio": 0.5, "params": {"batches": 0.5}}},
            "a whole number, got 0.5",
            "prune.params.batches",
        ),
        (
            {"prune": {"method": "random", "ratio": 0.5, "params": {"batches": 2}}},
            "unknown key 'batches'",
            "prune.params.batches",
        ),
    ],
)
def test_a_chosen_part_judges_what_it_is_given(sections: dict[str, Any], what: str, where: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        space({}, **sections)
    assert caught.value.where == f"space key {where}"
    assert caught.value.hint


METHOD = Parameter("prune.method", "categorical", choices=("none", "magnitude", "taylor"))
PRUNED = ("magnitude", "taylor")


def reach(*parameters: Parameter, **fixed: Any) -> Reach:
    return Reach({p.name: p for p in parameters}, {k.replace("_", "."): v for k, v in fixed.items()})


def test_conditions_hold_along_chains() -> None:
    at = Parameter("prune.at", "categorical", choices=("trained", "init"), when={"prune.method": PRUNED})
    lr = Parameter("train.recover.lr", "float", low=0.1, high=1.0, when={"prune.at": ("trained",)})
    assert reach(METHOD, at, lr).without_effect(lr.name) is None
    assert reach(METHOD, at, lr).missing(lr.name) is None


def test_the_number_of_combinations_is_bounded() -> None:
    many = [Parameter(f"data.options.x{i}", "categorical", choices=(1, 2)) for i in range(40)]
    last = Parameter("distill.alpha", "float", low=0.0, high=1.0, when={p.name: (1,) for p in many})
    assert len(list(reach(*many, last).situations("distill.alpha"))) == 1_000
