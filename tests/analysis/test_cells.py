"""Numbers read the same wherever they are shown."""

from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.tables import percent, show_estimate, show_gain


def test_shares() -> None:
    assert [percent(0.12345), percent(None), percent(0.01, signed=True)] == ["12.35", "-", "+1.00"]


def test_estimates() -> None:
    assert show_estimate(None) == "-"
    assert show_estimate(Estimate(1, 0.5)) == "50.00"
    assert show_estimate(Estimate(3, 0.5, 0.4, 0.6)) == "50.00 ± 10.00"
    assert show_estimate(Estimate(3, 0.5, 0.49999, 0.50001)) == "50.00 ± <0.01"
    assert show_estimate(Estimate(2, 0.99, 0.95, 1.03).as_share()) == "99.00 [95.00, 100.00]"
    assert show_estimate(Estimate(2, 0.01, -0.02, 0.04).as_share()) == "1.00 [0.00, 4.00]"


def test_equal_values_are_not_certain() -> None:
    assert show_estimate(Estimate(3, 0.5)) == "50.00 (all equal)"
    assert show_gain(Gain(Estimate(3, -0.01))) == "-1.00 (all equal)"


def test_a_gain_is_shown_with_its_mark() -> None:
    estimate = Estimate(3, 0.01, 0.005, 0.015)
    assert show_gain(Gain(estimate, mark="*")) == "+1.00* [+0.50, +1.50]"
    assert show_gain(Gain(estimate, mark="†")) == "+1.00† [+0.50, +1.50]"
    assert show_gain(Gain(estimate, p=0.01, p_holm=0.06)) == "+1.00 [+0.50, +1.50]"
    assert show_gain(Gain(Estimate(1, -0.01))) == "-1.00"
    assert show_gain(None) == "-"
