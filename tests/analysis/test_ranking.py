"""A ranking worked out by hand: order by validation, gains by pairs of seeds, and what the footer says."""

import random
from copy import deepcopy
from typing import Any

import pytest

from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report import build_report
from pdsearch.analysis.report.headline import headline
from pdsearch.analysis.tables import as_table, tables_by_student
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.some import some

# Students of three teachers and alone, seeds 0, 1, 2. The unpruned teacher's own best temperature is 8.
RECORDS = [
    *confirmed("magnitude", [0.70, 0.72, 0.74], test=-0.01),
    *confirmed("taylor", [0.73, 0.74, 0.76], test=-0.05),
    *confirmed(None, [0.69, 0.70, 0.71], test=-0.01),
    *confirmed(None, [0.71, 0.71, 0.71], test=-0.01, temperature=8.0),
    *confirmed("alone", [0.60, 0.61, 0.62], test=-0.01),
    record("snip", 0.66, kind="search", epochs=20, number=1),
    record("snip", 0.80, kind="search", epochs=5, state="stopped", number=2),
    record("random", 0.90, kind="search", epochs=5, state="stopped", number=3),
    record("random", 0.99, kind="search", state="failed", temperature=2.0, number=4),
    record("magnitude", 0.75, kind="search", number=5),
]


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return rank_teachers(study(RECORDS))


def line(ranking: Ranking, label: str) -> Ranked:
    (found,) = [row for row in ranking.rows if row.label == label]
    return found


def test_order_is_by_validation_with_unconfirmed_last(ranking: Ranking) -> None:
    assert [(row.rank, row.label, row.confirmed) for row in ranking.rows] == [
        (1, "vgg19_bn taylor 59%", True),
        (2, "vgg19_bn magnitude 59%", True),
        (3, "vgg19_bn unpruned", True),
        (None, "student alone", True),
        (None, "vgg19_bn snip 59%", False),
        (None, "vgg19_bn random 59%", False),
    ]


def test_values_by_hand(ranking: Ranking) -> None:
    magnitude = line(ranking, "vgg19_bn magnitude 59%")
    val = some(magnitude.val)
    assert (val.n, magnitude.seeds, magnitude.teacher_seeds) == (3, 3, 1)
    assert val.mean == pytest.approx(0.72)
    # Standard deviation 0.02, t(0.975, 2) = 4.30265.
    assert val.half_width == pytest.approx(4.302652730 * 0.02 / 3**0.5)
    assert magnitude.teacher_val == pytest.approx(0.8)
    assert magnitude.teacher_test == pytest.approx(0.9)
    assert (magnitude.trials, magnitude.search_best, magnitude.rung, magnitude.rung_of) == (1, 0.75, 20, 20)
    assert (magnitude.best.prune_rounds, magnitude.best.teacher_sparsity) == (4, 0.5904)


def test_gains_by_hand(ranking: Ranking) -> None:
    gains = line(ranking, "vgg19_bn magnitude 59%").gains_val
    expected = {
        "unpruned_same": [0.01, 0.02, 0.03],
        "unpruned_best": [-0.01, 0.01, 0.03],
        "alone": [0.10, 0.11, 0.12],
    }
    for question, differences in expected.items():
        gain = some(gains[question])
        assert gain.estimate.mean == pytest.approx(sum(differences) / 3)
        assert (gain.estimate.n, gain.unpaired) == (3, 0)


def test_p_values_are_adjusted_for_all_gains_of_the_table(ranking: Ranking) -> None:
    # Two pruned teachers answer two questions each; three teachers, one of them unpruned, a third.
    gains = [gain for row in ranking.rows for gain in row.gains_val.values() if gain and gain.p is not None]
    assert len(gains) == 7
    smallest = min(gains, key=lambda gain: gain.p or 0)
    assert smallest.p_holm == pytest.approx(7 * (smallest.p or 0), abs=1e-12)
    assert smallest.mark == "†"


def test_the_unpruned_teacher_stands_with_its_own_best_configuration(ranking: Ranking) -> None:
    unpruned = line(ranking, "vgg19_bn unpruned")
    assert unpruned.role == "unpruned"
    assert some(unpruned.val).mean == pytest.approx(0.71)
    assert unpruned.gains_val["unpruned_same"] is unpruned.gains_val["unpruned_best"] is None


def test_two_records_of_the_same_seeds_count_once_in_any_order() -> None:
    first, second = record("magnitude", 0.7), {**record("magnitude", 0.8), "id": "confirm-zzz"}
    for records in ([first, second], [second, first]):
        (row,) = rank_teachers(study(records)).rows
        assert (some(row.val).n, some(row.val).mean) == (1, 0.7)


def test_unconfirmed_lines_show_the_best_at_the_highest_rung(ranking: Ranking) -> None:
    snip, random_ = line(ranking, "vgg19_bn snip 59%"), line(ranking, "vgg19_bn random 59%")
    assert (snip.trials, snip.rung, snip.search_best, snip.val) == (2, 20, 0.66, None)
    assert snip.best.val_accuracy == 0.66
    assert (random_.trials, random_.rung, random_.rung_of, random_.search_best) == (1, 5, 20, 0.90)


def test_footer_says_what_varied_and_what_is_missing(ranking: Ranking) -> None:
    text = "\n".join(ranking.footer)
    assert "3 student seeds with their own streams of views, 1 teacher seed" in text
    assert "about these teachers" in text
    assert "2 teachers are unconfirmed" in text
    assert "1 trial failed" in text
    assert "vgg19_bn unpruned stands with the one that its own trials chose of its 2 confirmed" in text
    assert "One value" not in text


def test_one_seed_gives_no_interval_and_says_so() -> None:
    ranking = rank_teachers(study(confirmed("magnitude", [0.7])))
    assert some(ranking.rows[0].val).low is None
    text = "\n".join(ranking.footer)
    assert "One value gives no interval: vgg19_bn magnitude 59%" in text
    assert "all equal" not in text


def test_seeds_that_agree_give_no_interval_and_say_so() -> None:
    ranking = rank_teachers(study(confirmed("magnitude", [0.7, 0.7, 0.7])))
    val = some(ranking.rows[0].val)
    assert (val.n, val.low) == (3, None)
    text = "\n".join(ranking.footer)
    assert (
        "Values that are all equal have no interval, for their spread is not known: vgg19_bn magnitude 59%"
        in text
    )
    assert "One value" not in text
    assert "70.00 (all equal)" in as_table(ranking).rows[0]
    assert "95 % intervals" not in text
    assert "its best configuration" in text
    assert "student alone is not confirmed" in text


def test_a_missing_partner_is_left_out_of_the_gain_and_told() -> None:
    ranking = rank_teachers(study([*confirmed("magnitude", [0.7, 0.8, 0.9]), *confirmed(None, [0.6, 0.7])]))
    gain = some(ranking.rows[0].gains_val["unpruned_same"])
    assert (gain.estimate.n, gain.unpaired) == (2, 1)
    assert gain.estimate.mean == pytest.approx(0.1)
    text = "\n".join(ranking.footer)
    assert "without a partner of the same seed are left out of gains: vgg19_bn magnitude 59%" in text
    assert "different numbers of students" in text


def test_lines_are_in_the_order_of_the_means_that_they_show() -> None:
    # The second teacher's third student has no counterpart in the first's: it is in no mean.
    one = [
        *confirmed("magnitude", [0.7, 0.7]),
        *confirmed("magnitude", [0.7, 0.7, 0.4], teacher_seed=1),
    ]
    other = [item for seed in (0, 1) for item in confirmed("random", [0.65] * 3, teacher_seed=seed)]
    rows = rank_teachers(study([*one, *other])).rows
    shown = [some(row.val).mean for row in rows]
    assert shown == pytest.approx([0.7, 0.65])
    assert [(row.rank, row.teacher_seeds, row.seeds) for row in rows] == [(1, 2, 4), (2, 2, 6)]


def test_three_teacher_seeds_make_the_teacher_the_unit() -> None:
    # Students of one teacher agree; teachers differ: n is 3, and the interval is wide.
    records = [
        item
        for teacher_seed, val in enumerate([0.6, 0.7, 0.8])
        for item in confirmed("magnitude", [val, val + 0.001], teacher_seed=teacher_seed)
    ]
    row = rank_teachers(study(records)).rows[0]
    assert (row.seeds, row.teacher_seeds, some(row.val).n) == (6, 3, 3)
    # Variances 0.1² over teachers and 0.001² / 2 over students; the teachers' decides.
    assert some(row.val).half_width == pytest.approx(4.302652730 * 0.1 / 3**0.5, rel=1e-3)


def test_any_order_of_records_gives_the_same_ranking(ranking: Ranking) -> None:
    shuffled = RECORDS.copy()
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert rank_teachers(study(shuffled)) == ranking


def test_without_validation_every_configuration_is_a_line_without_a_rank() -> None:
    records = [
        *confirmed("magnitude", [0.70, 0.72, 0.74]),
        *confirmed(None, [0.69, 0.70, 0.71]),
        *confirmed(None, [0.71, 0.72, 0.73], temperature=8.0),
        *confirmed("alone", [0.60, 0.61, 0.62]),
    ]
    for item in records:
        item["values"].pop("student.val_accuracy")
        item["reports"] = [{**report, "val_accuracy": None} for report in item["reports"]]
    found = rank_teachers(study(records))
    assert [round(row.test.mean, 4) for row in found.rows if row.test] == [0.72, 0.72, 0.70, 0.61]
    assert {row.rank for row in found.rows} == {None}
    assert all(row.confirmed and row.val is None for row in found.rows)
    labels = [row.label for row in found.rows]
    assert len(set(labels)) == 4
    assert {"vgg19_bn unpruned temperature 4", "vgg19_bn unpruned temperature 8"} < set(labels)
    pruned = line(found, "vgg19_bn magnitude 59%")
    assert some(pruned.gains_test["unpruned_same"]).estimate.mean == pytest.approx(0.02)
    assert pruned.gains_test["alone"] is not None
    # Choosing the unpruned teacher's best configuration by test accuracy would be choosing by the test set.
    assert pruned.gains_test["unpruned_best"] is None
    assert "nothing was selected" in found.footer[0]


def controlled(values: list[float], ratio: float = 0.59, **student: int) -> list[dict[str, Any]]:
    """The unpruned teacher, trained as long as the pruned one."""
    records = confirmed("train_on", values)
    for item in records:
        item["teacher"] |= {"sparsity": 0.0}
        item["student"] |= student
        item["spec"]["prune"]["ratio"] = ratio
    return records


def test_a_pruned_teacher_is_compared_with_one_that_was_trained_as_long() -> None:
    found = rank_teachers(study([*confirmed("magnitude", [0.7, 0.73, 0.74]), *controlled([0.7, 0.71, 0.71])]))
    gain = some(line(found, "vgg19_bn magnitude 59%").gains_val["control"])
    assert gain.estimate.mean == pytest.approx(0.05 / 3)
    assert gain.estimate.n == 3
    assert line(found, "vgg19_bn train_on 4 rounds").gains_val["control"] is None
    assert "vs trained as long" in as_table(found).columns


@pytest.mark.parametrize(
    "others",
    [
        [],
        controlled([0.7, 0.71, 0.71], params=1_000),
        controlled([0.7, 0.71, 0.71], ratio=0.36),
        confirmed("taylor", [0.7, 0.71, 0.71]),
    ],
)
def test_without_a_control_of_the_same_student_and_rounds_there_is_no_such_column(
    others: list[dict[str, Any]],
) -> None:
    found = rank_teachers(study([*confirmed("magnitude", [0.7, 0.73, 0.74]), *others]))
    (pruned,) = [row for row in found.rows if row.best.prune_method == "magnitude"]
    assert pruned.gains_val["control"] is None
    assert "vs trained as long" not in as_table(found).columns


SMALL: dict[str, Any] = {"student": "vgg8", "params": 4_000_000}


TWO_STUDENTS = [
    *RECORDS,
    *confirmed("magnitude", [0.50, 0.52, 0.54], **SMALL),
    *confirmed("taylor", [0.53, 0.54, 0.56], **SMALL),
    *confirmed(None, [0.49, 0.51, 0.50], **SMALL),
    *confirmed("alone", [0.60, 0.61, 0.62], **SMALL),
    record("snip", 0.56, kind="search", number=9, **SMALL),
]


def test_students_of_different_size_are_ranked_with_their_like() -> None:
    """The small student learns more from taylor, and most alone; the verdict of each is its own."""
    found = rank_teachers(study(TWO_STUDENTS))
    assert [(row.rank, row.label) for row in found.rows if row.confirmed] == [
        (1, "vgg19_bn taylor 59% -> vgg11_bn"),
        (2, "vgg19_bn magnitude 59% -> vgg11_bn"),
        (3, "vgg19_bn unpruned -> vgg11_bn"),
        (None, "vgg11_bn alone"),
        (None, "vgg8 alone"),
        (1, "vgg19_bn taylor 59% -> vgg8"),
        (2, "vgg19_bn magnitude 59% -> vgg8"),
        (3, "vgg19_bn unpruned -> vgg8"),
    ]
    assert [row.label for row in found.top(3)] == [
        row.label for row in (found.rows[0], found.rows[5], found.rows[1])
    ]
    assert [leader.student for leader in found.leaders] == ["vgg11_bn", "vgg8"]
    assert [leader.chosen_from for leader in found.leaders] == [3, 3]
    lone = some(found.rows[5].gain("alone"))
    assert lone.estimate.mean == pytest.approx(-0.4 / 6), "beside its own student alone"
    best = some(found.rows[5].gain("unpruned_best"))
    assert best.estimate.mean == pytest.approx((0.04 + 0.03 + 0.06) / 3), (
        "not beside what teaches the other student"
    )
    assert sum("vgg11_bn, vgg8" in line for line in found.footer) == 1
    told = headline(found)
    assert told.text.startswith("vgg19_bn taylor 59% -> vgg11_bn")
    (other,) = told.others
    assert "vgg8" in other
    assert "against the student alone" in other


def test_each_kind_of_student_has_its_own_table_and_figures() -> None:
    found = rank_teachers(study(TWO_STUDENTS))
    large, small_one = tables_by_student(found)
    assert [row[1] for row in large.rows] == [
        "vgg19_bn taylor 59%",
        "vgg19_bn magnitude 59%",
        "vgg19_bn unpruned",
        "student alone",
        "vgg19_bn snip 59%",
        "vgg19_bn random 59%",
    ]
    assert small_one.title.startswith("Students vgg8:")
    assert not large.footer
    assert small_one.footer == as_table(found).footer
    varied = deepcopy(TWO_STUDENTS)
    for item in varied:
        if item["teacher"] and item["teacher"]["method"] == "taylor":
            item["teacher"]["val_accuracy"] = 0.85
    figures = {figure.name: figure for figure in build_report(study(varied)).figures}
    assert {"teachers-1", "teachers-2"} < set(figures)
    points = figures["teachers-2"].spec["data"]["values"]
    assert {point["label"].rpartition(" -> ")[2] for point in points} == {"vgg8"}


def test_what_a_teachers_trials_chose_stands_for_it_not_the_better_of_several() -> None:
    """Members of a front are confirmed too, and the luckiest of them is no estimate of its teacher."""
    chosen = record("taylor", 0.8, kind="search", number=7)
    other = record("taylor", 0.7, kind="search", number=8, temperature=8.0)
    fresh = [*confirmed("taylor", [0.6, 0.7]), *confirmed("taylor", [0.9, 0.9, 0.9], temperature=8.0)]
    (first,) = rank_teachers(study([chosen, other, *fresh])).rows
    assert some(first.val).mean == pytest.approx(0.65)


def test_a_student_without_a_pruned_teacher_stands_last_however_good_it_is() -> None:
    """The whole network is the best student of a search that shapes students by their teachers."""
    whole: dict[str, Any] = {"student": "own.nets:vgg19", "params": 20_000_000, "temperature": 2.0}
    shaped: dict[str, Any] = {"student": "own.nets:vgg19", "params": 8_000_000}
    found = rank_teachers(
        study(
            [
                *confirmed(None, [0.90, 0.91, 0.92], **whole),
                *confirmed("magnitude", [0.7, 0.73, 0.74], **shaped),
                *confirmed(None, [0.70, 0.71, 0.71], **shaped),
            ]
        )
    )
    assert [row.label for row in found.rows] == [
        "vgg19_bn magnitude 59% -> vgg19 (8M)",
        "vgg19_bn unpruned -> vgg19 (8M)",
        "vgg19_bn unpruned -> vgg19 (20M)",
    ]
    assert found.rows[0].gain("unpruned_same")
    told = headline(found)
    assert told.text.startswith("vgg19_bn magnitude 59% -> vgg19 (8M)")
    assert told.others == ()
