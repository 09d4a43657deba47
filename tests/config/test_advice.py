"""Advice on a valid space: what costs much, what makes no difference, what is missing without validation images."""

from typing import Any

import pytest

from pdsearch.config import Space, load, parse
from pdsearch.config.checks.feasibility import corners, prunings, selectable_networks
from pdsearch.errors import ConfigError
from tests.config.documents import SEARCHED, document, space
from tests.config.test_schema import SHIPPED

PRUNE = {"method": "taylor"}


def test_geometric_ratios_are_shown_as_their_rounds() -> None:
    assert space().notes == (
        "prune.ratio 0.36 means round 2 of the geometric schedule: 0.3600",
        "prune.ratio 0.59 means round 4 of the geometric schedule: 0.5904",
    )
    assert space(prune={"schedule": "one_shot"}).notes == ()
    assert space({}).notes == ()


def test_the_worst_students_are_not_looked_for_unsaid() -> None:
    worst = {"metric": "student.val_accuracy", "goal": "minimize"}
    told = "the objective student.val_accuracy is minimized: the worst students are looked for"
    assert told in space(objectives=[worst]).warnings
    for fine in ({"metric": "student.val_accuracy"}, {"metric": "student.params", "goal": "minimize"}):
        assert told not in space(objectives=[fine]).warnings


def test_a_continuous_ratio_has_its_price() -> None:
    ratio = {"prune.ratio": {"low": 0.2, "high": 0.8}}
    (warning,) = space(ratio, prune={**PRUNE, "schedule": "linear", "rounds": 3}).warnings
    assert "no key ever repeats" in warning
    assert "up to 18 epochs of recovery for every trial, 432 in 24 trials" in warning
    (warning,) = space(ratio, prune=PRUNE).warnings
    assert "whole rounds" in warning
    assert "[0.2000, 0.3600, 0.4880, 0.5904, 0.6723, 0.7379, 0.7903]" in warning
    assert space({"prune.ratio": {"low": 0.2, "high": 0.8, "step": 0.2}}, prune=PRUNE).warnings == ()


def test_ratios_of_one_round_are_named() -> None:
    (warning,) = space({"prune.ratio": [0.58, 0.6, 0.36]}, prune=PRUNE).warnings
    assert warning == "the ratios 0.58 and 0.6 are one geometric round, the 4th"
    assert space({"prune.ratio": [0.58, 0.6]}, prune={**PRUNE, "schedule": "one_shot"}).warnings == ()


def test_too_few_trials_or_finalists_for_the_teachers_and_students_are_told() -> None:
    """Three students of five teachers each are fifteen pairs, and two finalists leave one student without a teacher."""
    assert [text for text in space().warnings if "trials" in text] == [
        "search.trials is 24 for 5 teachers, 4.8 each: with fewer than 5 the best teacher misses confirmation "
        "about every second time"
    ]
    students = {**SEARCHED, "student.model": ["convnet_s", "convnet_l", "from_teacher"]}
    few, many = (
        space(students, student=None, search={"trials": trials}, confirm={"teachers": teachers}).warnings
        for trials, teachers in ((74, 2), (75, 3))
    )
    assert "confirm.teachers is 2 for 3 students: some are confirmed with no teacher" in few
    assert any("search.trials is 74 for 15 pairs of teacher and student, 4.9 each" in text for text in few)
    assert not [text for text in many if "trials" in text or "confirm" in text]


def test_searched_seeds_trials_of_one_configuration_and_idle_recovery_are_doubtful() -> None:
    assert "luck" in space({"distill.seed": [0, 1]}).warnings[-1]
    assert "every trial is the same" in space({}).warnings[-1]
    found = space({}, search=None, prune={**PRUNE, "ratio": 0.5, "at": "init", "recovery": "finetune"})
    assert found.warnings[-1] == "prune.recovery has no effect: prune.at is init"
    pruning = {**PRUNE, "ratio": 0.5, "at": "init", "recovery": "lr_rewind"}
    assert not [text for text in space({}, search=None, prune=pruning).warnings if "prune.recovery" in text]


def test_what_no_choice_gives_an_effect_is_told_with_all_its_causes() -> None:
    pruning = {"ratio": 0.5, "recovery": "none", "schedule": "one_shot", "rounds": 3}
    found = space({"prune.method": ["none", "magnitude"]}, prune=pruning).warnings
    assert any(text.endswith("no effect: prune.method is none, or prune.recovery is none") for text in found)
    assert any(
        text.endswith("no effect: prune.method is none, or prune.schedule is one_shot") for text in found
    )


RECIPE = {"epochs": 20, "lr": 0.1}


@pytest.mark.parametrize(
    ("distill", "searched", "warning"),
    [
        (
            {"schedule": "cosine", "milestones": [5], "gamma": 0.5},
            {},
            "gamma, train.distill.milestones have no effect",
        ),
        ({"peak": 0.2}, {}, "train.distill.peak has no effect: train.distill.schedule is step"),
        ({"optimizer": "adam", "momentum": 0.5}, {}, "train.distill.momentum has no effect"),
        (
            {"milestones": [5]},
            {"train.distill.schedule": ["cosine", "one_cycle"]},
            "schedule is cosine or one_cycle",
        ),
        ({"milestones": [5]}, {"train.distill.schedule": ["cosine", "step"]}, None),
        ({"schedule": "cosine", "gamma": 0.1, "milestones": []}, {}, None),
    ],
)
def test_values_without_effect_are_told(
    distill: dict[str, object], searched: dict[str, object], warning: str | None
) -> None:
    train = {"teacher": RECIPE, "recover": RECIPE, "distill": {**RECIPE, **distill}}
    found = space({"prune.ratio": [0.36, 0.59], **searched}, prune=PRUNE, train=train).warnings
    assert [warning] == [warning for text in found if warning in text] if warning else found == ()


PRUNED = ["magnitude", "taylor"]


def test_all_prunings_of_a_space_are_seen_once() -> None:
    found = list(prunings(space({**SEARCHED, "distill.alpha": {"low": 0, "high": 1}})))
    assert [(p.method, p.ratio) for p in found] == [
        (method, ratio) for method in PRUNED for ratio in (0.36, 0.59)
    ]
    ends = prunings(space({"prune.ratio": {"low": 0.2, "high": 0.8}}, prune={"method": "random"}))
    assert [p.ratio for p in ends] == [0.2, 0.8]
    chain = {
        "student.model": ["convnet_s", "resnet8"],
        "distill.loss": {"choices": ["ce"], "when": {"student.model": ["resnet8"]}},
        "prune.scope": {"choices": ["layer"], "when": {"distill.loss": ["ce"]}},
    }
    found = list(prunings(space(chain, student=None, prune={"method": "random", "ratio": 0.5})))
    assert [p.scope for p in found] == ["global", "layer"]
    assert list(prunings(space({}))) == []


def test_all_networks_with_options_are_seen_once() -> None:
    searched = {
        **SEARCHED,
        "student.model": ["convnet_s", "resnet8"],
        "student.options.widths": {"choices": [[4], [8]], "when": {"student.model": ["convnet_s"]}},
    }
    found = space(searched, student=None, teacher={"model": "convnet_l", "options": {"widths": [16]}})
    assert [*selectable_networks(found)] == [
        ("teacher", "convnet_l", (("widths", (16,)),)),
        ("student", "convnet_s", (("widths", (4,)),)),
        ("student", "convnet_s", (("widths", (8,)),)),
    ]


@pytest.mark.parametrize(
    ("searched", "student", "where"),
    [
        ({}, {"model": "convnet_s", "options": {"widths": [0]}}, "student.options.widths"),
        ({"student.options.widths": [[4], [0]]}, {"model": "convnet_s"}, "space.student.options.widths"),
        ({}, {"model": "resnet8", "options": {"depth": 9, "inner": [4]}}, "student.options.depth"),
        ({"student.options.depth": [9]}, {"model": "resnet8"}, "space.student.options.depth"),
        ({}, {"model": "resnet8", "options": {"depth": 8, "widths": [2**62] * 4}}, "student.options"),
    ],
)
def test_a_model_that_cannot_be_built_so_is_refused_once(
    searched: dict[str, Any], student: dict[str, Any], where: str
) -> None:
    with pytest.raises(
        ConfigError, match=r"0 channels|no network has depth 9|resnet8 cannot be built"
    ) as caught:
        parse(document(searched, student=student))
    assert caught.value.where == f"space key {where}"
    assert caught.value.hint


def test_a_method_that_does_not_go_with_the_rest_is_refused_once_where_a_choice_reaches_it() -> None:
    def searched(*reached: str) -> dict[str, Any]:
        when = {"prune.method": ["magnitude", "filter_l1"]}
        return {
            **SEARCHED,
            "prune.method": ["none", "magnitude", "filter_l1"],
            "prune.ratio": {"choices": [0.36, 0.59], "when": when},
            "prune.scope": {"choices": ["erk"], "when": {"prune.method": [*reached]}},
        }

    with pytest.raises(ConfigError) as caught:
        parse(document(searched("magnitude", "filter_l1")))
    assert str(caught.value) == (
        "space key space.prune.method: filter_l1 makes no sense with prune.scope: erk\n"
        "  -> use prune.scope: global or layer or sensitivity"
    )
    assert len(parse(document(searched("magnitude"))).parameters) == 4


def test_registered_methods_are_asked_and_all_that_they_refuse_is_told_at_once() -> None:
    (digits,) = [path for path in SHIPPED if path.name == "digits.yaml"]
    ratio = "space.prune.ratio={choices: [0.5], when: {prune.method: grasp}}"
    load(digits, ["space.prune.method=[none, grasp]", ratio, "prune.at=init"])
    several = "space.prune.method=[none, nm, grasp]"
    ratio = "space.prune.ratio={choices: [0.5], when: {prune.method: [nm, grasp]}}"
    with pytest.raises(ConfigError) as caught:
        load(digits, [several, ratio])
    told = str(caught.value)
    assert "nm makes no sense with prune.schedule: geometric" in told
    assert "grasp makes no sense with prune.at: trained" in told


def test_corners_are_all_choices_and_ends_of_what_matters_and_the_middle_of_the_rest() -> None:
    searched = {"distill.alpha": {"low": 0.0, "high": 1.0}, "distill.temperature": {"low": 2.0, "high": 4.0}}
    found = corners(space(searched, prune={"method": "none"}), lambda p: p.name == "distill.alpha")
    assert [dict(trial.distill.params) for trial in found] == [
        {"alpha": alpha, "standardise": False, "temperature": 3.0} for alpha in (0.0, 1.0)
    ]


NONE_CUT = {"source": "digits", "val_fraction": 0}
LISTED = {**SEARCHED, "distill.temperature": [2.0, 4.0]}


def unvalidated(searched: dict[str, Any] | None = None, **sections: Any) -> Space:
    return space(searched, **{"data": NONE_CUT, "search": None, **sections})


def test_a_list_of_configurations_is_confirmed_whole() -> None:
    found = unvalidated(LISTED, confirm={"seeds": 3})
    assert not found.validated
    assert found.confirm is not None
    # Dense, and two methods at two ratios; each at two temperatures.
    assert (found.search.trials, found.confirm.teachers, found.confirm.seeds) == (10, 10, 3)
    assert found.objectives[0].metric == "student.params"


def test_one_configuration_may_run_once_or_be_confirmed() -> None:
    for confirm in (None, {"seeds": 2}):
        found = unvalidated({}, confirm=confirm)
        assert (found.validated, found.search.trials, found.parameters) == (False, 1, ())


def test_steps_are_a_list_too() -> None:
    found = unvalidated({"distill.temperature": {"low": 1, "high": 4, "step": 1}}, confirm={"seeds": 1})
    assert found.search.trials == 4


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a search": ({"search": {"trials": 24}}, "nothing is searched", "data.val_fraction"),
    "a range": ({"confirm": {"seeds": 3}}, "write choices for every parameter", "data.val_fraction"),
    "no seeds": ({"space": LISTED}, "add `confirm: {seeds: 3}`", "data.val_fraction"),
    "trials": (
        {"space": LISTED, "confirm": {"seeds": 3}, "search": {"trials": 5}},
        "the space has 10 configurations",
        "search.trials",
    ),
    "leaders": (
        {"space": LISTED, "confirm": {"seeds": 3, "teachers": 2}},
        "all 10 configurations are",
        "confirm.teachers",
    ),
    "a student without a shape": (
        {"space": {}, "student": {"model": "from_teacher"}, "confirm": {"seeds": 2}},
        "has no shape before a search trial gave it one",
        "student.model",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_choose_is_refused_with_a_key_and_a_hint(name: str) -> None:
    sections, message, key = REFUSED[name]
    searched = sections.get("space")
    with pytest.raises(ConfigError) as caught:
        unvalidated(searched, **{k: v for k, v in sections.items() if k != "space"})
    assert message in str(caught.value)
    assert f"key {key}" in str(caught.value)
    assert "->" in str(caught.value)
