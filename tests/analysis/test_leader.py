"""The first teacher's line says what its students show against those of its unpruned self, whatever they show."""

import dataclasses
import json
from typing import Any

import pytest

from pdsearch.analysis.forms import as_json
from pdsearch.analysis.ranked import Leader
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.tables import as_table
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.architecture.tree import ROOT
from tests.some import some

BASE = [0.60, 0.61, 0.63]
ALIKE = "same student, temperature, seeds"


def led(*groups: list[dict[str, Any]], **about: Any) -> Leader | None:
    """Return what a ranking of these records says of its first teacher, and see that it says so everywhere."""
    ranking = rank_teachers(study([item for group in groups for item in group], **about))
    value = json.loads(as_json(ranking))["leader"]
    if ranking.leader is None:
        assert value is None
        return None
    assert ranking.footer[1] == as_table(ranking).footer[1] == value["sentence"] == ranking.leader.sentence
    assert (value["finding"], value["pairs"]) == (ranking.leader.finding, ranking.leader.pairs)
    return ranking.leader


def shifted(*by: float) -> list[float]:
    return [base + step for base, step in zip(BASE, by, strict=True)]


def on_test(records: list[dict[str, Any]], *accuracies: float) -> list[dict[str, Any]]:
    """Give students test accuracies of their own."""
    for item, accuracy in zip(records, accuracies, strict=True):
        item["test"]["student.accuracy"] = accuracy
    return records


@pytest.mark.parametrize(
    ("steps", "finding", "words"),
    [
        # Means 2, 1 and -2 points; t(0.975, 2) = 4.30265, standard errors 0.01 / sqrt(3), 0.02 / sqrt(3), the first.
        (
            (0.01, 0.02, 0.03),
            "no_gain",
            "show no sure gain over those of its unpruned self, +2.00 points [-0.48, +4.48]",
        ),
        ((0.04, 0.05, 0.06), "gain", "gain over those of its unpruned self, +5.00 points [+2.52, +7.48]"),
        (
            (-0.05, -0.03, -0.04),
            "loss",
            "lose against those of its unpruned self, -4.00 points [-6.48, -1.52]",
        ),
    ],
)
def test_the_finding_is_the_interval_s_of_test_accuracy(
    steps: tuple[float, ...], finding: str, words: str
) -> None:
    # By validation accuracy the pruned teacher leads in all three.
    pruned = on_test(confirmed("magnitude", [0.8, 0.81, 0.85]), *shifted(*steps))
    found = some(led(pruned, confirmed(None, BASE)))
    assert (found.finding, found.metric, found.pairs) == (finding, "test_accuracy", 3)
    assert found.sentence == (
        f"vgg19_bn magnitude 59% leads: this teacher's students {words} of test accuracy ({ALIKE}; 3 pairs), "
        "corrected for being the best of 2."
    )


def test_a_gain_that_does_not_stand_holm_s_correction_is_none() -> None:
    # Alone it would stand; it is one of eight, and the others vary more.
    others = [
        on_test(confirmed(method, [0.7, 0.7, 0.7]), *shifted(0.04, -0.05, 0.03))
        for method in ("taylor", "snip", "random")
    ]
    pruned = on_test(confirmed("magnitude", [0.8, 0.8, 0.8]), *shifted(0.04, 0.05, 0.06))
    found = some(led(pruned, confirmed(None, BASE), *others))
    assert found.finding == "no_gain"
    assert some(some(found.gain).estimate.low) > 0
    assert "show no sure gain over" in found.sentence


def test_parameters_of_the_loss_are_named_and_switches_are_not() -> None:
    records = [*confirmed("magnitude", shifted(0.04, 0.05, 0.06)), *confirmed(None, BASE)]
    for item in records:
        item["spec"]["distill"]["params"] = [["alpha", 0.9], ["standardise", False], ["temperature", 4.0]]
    found = some(led(records))
    assert "(same student, alpha, temperature, seeds; 3 pairs)" in found.sentence


def test_without_test_accuracies_it_says_that_validation_chose() -> None:
    records = [*confirmed("magnitude", shifted(0.04, 0.05, 0.06)), *confirmed(None, BASE)]
    for item in records:
        item["test"] = None
    found = some(led(records))
    assert (found.finding, found.metric) == ("gain", "val_accuracy")
    assert "of validation accuracy, by which it was chosen (" in found.sentence


def test_equal_pairs_show_no_gain() -> None:
    found = some(led(confirmed("magnitude", shifted(0.1, 0.1, 0.1)), confirmed(None, BASE)))
    assert found.finding == "no_gain"
    assert "show no sure gain over" in found.sentence
    assert "+10.00 points of test accuracy" in found.sentence
    assert found.sentence.endswith("3 pairs), the same in each, which gives no interval.")


@pytest.mark.parametrize(
    ("others", "finding", "why"),
    [
        (confirmed(None, BASE[:1]), "one_pair", "one pair shows nothing."),
        ([], "no_pair", "there is no pair of them."),
    ],
)
def test_one_pair_or_none_shows_nothing(others: list[dict[str, Any]], finding: str, why: str) -> None:
    found = some(led(confirmed("magnitude", shifted(0.1, 0.2, 0.3)), others))
    assert found.finding == finding
    assert found.sentence == (
        "vgg19_bn magnitude 59% leads, but whether this teacher's students gain over those of its unpruned self is "
        f"not shown: {why}"
    )


def test_two_teachers_with_one_student_seed_are_not_called_one_pair() -> None:
    groups = [
        confirmed(m, [v], teacher_seed=s)
        for s in (0, 1)
        for m, v in (("magnitude", 0.7 + s / 10), (None, 0.6))
    ]
    found = some(led(*groups))
    assert (found.finding, found.pairs) == ("one_pair", 2)
    assert "these teachers' students gain over those of their unpruned selves" in found.sentence
    assert found.sentence.endswith("pairs of one student seed show nothing.")


def test_three_teachers_speak_of_more_than_themselves() -> None:
    groups = [
        confirmed(method, [value + (step if method else 0) for value in BASE], teacher_seed=seed)
        for seed, step in enumerate([0.04, 0.05, 0.06])
        for method in ("magnitude", None)
    ]
    found = some(led(*groups))
    assert (found.finding, found.pairs) == ("gain", 9)
    assert (
        "students of teachers made like it (3 teacher seeds) gain over those of their unpruned selves"
        in found.sentence
    )


def test_pairs_of_fewer_teachers_than_the_line_has_speak_of_these() -> None:
    pruned = [confirmed("magnitude", shifted(0.04, 0.05, 0.06), teacher_seed=seed) for seed in range(3)]
    found = some(led(*pruned, confirmed(None, BASE)))
    assert (found.finding, found.pairs) == ("gain", 3)
    assert found.sentence.startswith("vgg19_bn magnitude 59% leads: these teachers' students gain over")


def test_an_unpruned_teacher_that_leads_is_said_to() -> None:
    found = some(led(confirmed("magnitude", BASE), confirmed(None, shifted(0.1, 0.1, 0.1))))
    assert (found.finding, found.gain) == ("unpruned", None)
    assert found.sentence == (
        "The unpruned teacher leads (vgg19_bn unpruned): no confirmed pruned teacher's students have a higher mean "
        "validation accuracy."
    )
    alone = some(led(confirmed(None, BASE), [record("magnitude", 0.9, kind="search")]))
    assert alone.sentence.endswith("no pruned teacher is confirmed.")


@pytest.mark.parametrize(
    ("space", "accuracy", "words"),
    [
        (
            {"constraints": ["student.val_accuracy <= 0.75"]},
            0.8,
            "the students of every confirmed pruned teacher break a constraint.",
        ),
        (
            {"objectives": [{"metric": "student.flops", "goal": "minimize"}]},
            0.6,
            "no confirmed pruned teacher's students are better by student.flops, which the study minimizes, and "
            "then by the mean validation accuracy.",
        ),
    ],
)
def test_why_an_unpruned_teacher_leads_is_said_as_it_was_decided(
    space: dict[str, Any], accuracy: float, words: str
) -> None:
    pruned = confirmed("magnitude", [accuracy, accuracy + 0.01])
    found = some(led(pruned, confirmed(None, [0.70, 0.71]), confirmed("alone", [0.60, 0.62]), space=space))
    assert found.sentence.startswith(f"The unpruned teacher leads (vgg19_bn unpruned): {words}")


@pytest.mark.parametrize("by_teacher", [True, False])
@pytest.mark.parametrize("single", [True, False])
def test_each_seed_tests_the_teacher_that_the_others_choose(by_teacher: bool, single: bool) -> None:
    # Without its first student the leader is behind, so that this seed tests the second teacher.
    val = {"magnitude": [0.9, 0.5, 0.5], "taylor": [0.6, 0.6, 0.6], None: [0.3, 0.3, 0.3]}
    test = {"magnitude": [0.8, 0.7, 0.71], "taylor": [0.65, 0.66, 0.67], None: [0.6, 0.6, 0.6]}
    records = [
        record(
            method,
            accuracy,
            test=test[method][place],
            teacher_seed=place * by_teacher,
            seed=place * (not by_teacher),
        )
        for method, accuracies in val.items()
        for place, accuracy in enumerate(accuracies)
    ]
    # A teacher with one student is chosen by no seed of its own, and keeps none of the others from being tested.
    found = some(led(records, confirmed("snip", [0.1]) if single else []))
    assert some(found.gain).estimate.mean == pytest.approx((0.05 + 0.10 + 0.11) / 3)
    assert f"corrected for being the best of {3 + single}" in found.sentence


def test_a_gain_that_no_seed_tests_is_marked_by_none() -> None:
    # Each student seed has one teacher, so that what is chosen without a seed has no students of that seed.
    pairs = [
        (
            record("magnitude", 0.8, seed=1, teacher_seed=t, test=0.7 + t / 1000),
            record("taylor", 0.7, seed=2, teacher_seed=t, test=0.6 + t / 1000),
            record(None, 0.5, seed=1, teacher_seed=t, test=0.5 + t * t / 3000),
        )
        for t in range(4)
    ]
    found = some(led([one for some in pairs for one in some]))
    assert (found.finding, some(found.gain).mark) == ("no_gain", "")
    assert "not corrected for being the best of 3" in found.sentence


def test_a_control_is_compared_with_the_teacher_that_was_not_trained_on() -> None:
    control = confirmed("train_on", shifted(0.04, 0.05, 0.06))
    for item in control:
        item["teacher"]["sparsity"] = 0.0
    found = some(led(control, confirmed(None, BASE)))
    assert "gain over those of the same teacher not trained on, +5.00" in found.sentence


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record("magnitude", 0.7, kind="search")],
        [record("magnitude", 0.7, kind="search", test=0.69)],
    ],
)
def test_nothing_is_said_where_no_teacher_is_confirmed(
    records: list[dict[str, Any]],
) -> None:
    assert led(records) is None


def test_every_field_of_a_leader_is_documented() -> None:
    text = (ROOT / "docs/space.md").read_text(encoding="utf-8")
    assert [field.name for field in dataclasses.fields(Leader) if f"`{field.name}`" not in text] == []


def test_one_student_alone_beside_several_teachers_shows_nothing() -> None:
    """Its luck is in every pair, and no spread over teachers tells it."""
    groups = [
        confirmed(method, [value + place / 1000], teacher_seed=place)
        for place in range(3)
        for method, value in (("magnitude", 0.8), (None, 0.7 - place / 500))
    ]
    (lone,) = confirmed("alone", [0.6])
    records = [one for group in groups for one in group]
    for one in records:
        one["baselines"]["alone"] = lone["config"]  # A real one does not depend on the teacher.
    ranking = rank_teachers(study([*records, lone]))
    leader = some(ranking.leader)
    gain, alone = some(leader.gain), some(leader.alone)
    assert gain.estimate.low is not None, "students of a seed are compared with those of its own teacher"
    told = alone.estimate.n, alone.estimate.low, alone.p, alone.mark, alone.unpaired
    assert told == (1, None, None, "", 0)
    assert alone.estimate.mean == pytest.approx(0.201)
    assert leader.against_alone == "one_pair"
    assert "they differ by +20.10 points, which one student does not show." in leader.sentence
    assert any("intervals are over teachers alone" in line for line in ranking.footer)
