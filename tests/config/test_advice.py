import pytest

from tests.config.documents import space

PRUNE = {"method": "taylor"}


def test_geometric_ratios_are_shown_as_their_rounds() -> None:
    assert space().notes == (
        "prune.ratio 0.36 means round 2 of the geometric schedule: 0.3600",
        "prune.ratio 0.59 means round 4 of the geometric schedule: 0.5904",
    )
    assert space(prune={"schedule": "one_shot"}).notes == ()
    assert space({}).notes == ()


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


def test_searched_seeds_trials_of_one_configuration_and_idle_recovery_are_doubtful() -> None:
    assert "luck" in space({"distill.seed": [0, 1]}).warnings[-1]
    assert "every trial is the same" in space({}).warnings[-1]
    found = space({}, search=None, prune={**PRUNE, "ratio": 0.5, "at": "init", "recovery": "finetune"})
    assert "no effect where prune.at is init" in found.warnings[-1]
    pruning = {**PRUNE, "ratio": 0.5, "at": "init", "recovery": "lr_rewind"}
    assert not [text for text in space({}, search=None, prune=pruning).warnings if "prune.recovery" in text]


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
