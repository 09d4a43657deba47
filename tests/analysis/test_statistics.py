"""Means, intervals and p-values agree with scipy's and with worked examples; one value has no interval."""

import pytest
from scipy import stats

from pdsearch.analysis import holm, mean_interval, paired_gain
from pdsearch.analysis.statistics import p_value

VALUES = [0.912, 0.918, 0.905, 0.921, 0.911]


def test_interval_by_hand() -> None:
    # 1, 2, 3: mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.30265.
    estimate = mean_interval([1.0, 2.0, 3.0])
    assert (estimate.n, estimate.mean) == (3, 2.0)
    assert estimate.half_width == pytest.approx(4.302652730 / 3**0.5)
    assert estimate.low == pytest.approx(2 - 4.302652730 / 3**0.5)


def test_interval_is_scipys() -> None:
    estimate = mean_interval(VALUES)
    low, high = stats.t.interval(0.95, 4, loc=sum(VALUES) / 5, scale=stats.sem(VALUES))
    assert estimate.low == pytest.approx(low)
    assert estimate.high == pytest.approx(high)


def test_one_value_has_no_interval_and_no_p_value() -> None:
    estimate = mean_interval([0.9])
    assert (estimate.n, estimate.mean, estimate.low, estimate.high, estimate.half_width) == (
        1,
        0.9,
        None,
        None,
        None,
    )
    gain = paired_gain([0.1])
    assert gain is not None
    assert (gain.p, gain.estimate.low) == (None, None)


def test_no_values() -> None:
    assert paired_gain([]) is None
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_p_value_is_scipys_paired_test() -> None:
    other = [0.910, 0.909, 0.907, 0.915, 0.908]
    differences = [a - b for a, b in zip(VALUES, other, strict=True)]
    gain = paired_gain(differences, unpaired=2)
    assert gain is not None
    assert gain.p == pytest.approx(stats.ttest_rel(VALUES, other).pvalue)
    assert gain.unpaired == 2


@pytest.mark.parametrize("differences", [[0.5, 0.5], [0.0, 0.0, 0.0], [0.1, 0.3 - 0.2, 0.1]])
def test_equal_differences_prove_nothing(differences: list[float]) -> None:
    """A t-test divides by their spread: scipy's would call two of them certain, or not a number."""
    assert p_value(differences) is None
    gain = paired_gain(differences)
    assert gain is not None
    assert gain.estimate.mean == pytest.approx(differences[0])
    assert (gain.p, gain.estimate.low, gain.estimate.high) == (None, None, None)


@pytest.mark.parametrize("values", [[0.5, 0.5], [0.1, 0.1, 0.1], [0.3, 0.1 + 0.2]])
def test_equal_values_have_no_interval_and_say_so(values: list[float]) -> None:
    estimate = mean_interval(values)
    assert (estimate.n, estimate.low, estimate.high, estimate.half_width) == (len(values), None, None, None)
    assert estimate.mean == pytest.approx(values[0])
    assert estimate.all_equal
    assert not mean_interval(values[:1]).all_equal
    assert not mean_interval([*values, 0.6]).all_equal


def test_holm_by_hand() -> None:
    # Sorted 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1; never falling.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert holm([None, 0.02, None, 0.04]) == [None, 0.04, None, 0.04]
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
