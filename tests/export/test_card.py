"""A card tells a student's numbers with their intervals, and how sure they are."""

import pytest

from pdsearch.analysis import Ranking, rank_teachers
from pdsearch.export import model_card
from tests.analysis.made_up import confirmed, study
from tests.analysis.test_ranking import RECORDS


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return rank_teachers(study(RECORDS))


def test_numbers_carry_intervals(ranking: Ranking) -> None:
    card = model_card(ranking.rows[1], "made-up", has_weights=True)
    assert "# vgg11_bn, taught by vgg19_bn magnitude 59%" in card
    assert "| this student | 70.00 | 69.00 |" in card
    assert "| mean of 3 such students | 72.00 ± 4.97 | 71.00 ± 4.97 |" in card
    assert "+2.00 [-0.48, +4.48] |" in card
    assert "load_student" in card


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("vgg19_bn unpruned", "`vgg19_bn`, unpruned, 80.00 %"),
        ("vgg19_bn magnitude 59%", "`magnitude` to 59.04 %"),
    ],
)
def test_the_teacher_is_described(ranking: Ranking, label: str, words: str) -> None:
    (row,) = [row for row in ranking.rows if row.label == label]
    assert words in model_card(row, "made-up", has_weights=True)


def test_what_is_unsure_is_said(ranking: Ranking) -> None:
    unconfirmed = model_card(ranking.rows[-1], "made-up", has_weights=False)
    assert "Not confirmed" in unconfirmed
    assert "load_student" not in unconfirmed
    single = rank_teachers(study(confirmed("magnitude", [0.7]))).rows[0]
    assert "One value gives no interval" in model_card(single, "made-up", has_weights=True)
