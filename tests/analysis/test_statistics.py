"""Intervals, p-values, probabilities and the power to show a gain agree with scipy, closed forms and simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.truth import measure
from benchmarks.truth_model import Setting
from pdsearch.analysis.crossed import combined, holm, moderated, spread
from pdsearch.analysis.statistics import (
    Gain,
    detectable_gain,
    estimates,
    forecast_lines,
    improvement,
    marked,
    sample_of,
)
from tests.some import some

VALUES = [0.912, 0.918, 0.905, 0.921, 0.911]
OTHERS = [0.910, 0.909, 0.907, 0.915, 0.908]


def seeds(values: list[float]) -> dict[tuple[int, int], float]:
    return {(0, seed): value for seed, value in enumerate(values)}


def test_an_interval_over_seeds_is_scipys() -> None:
    ((estimate, p),) = estimates([sample_of(seeds(VALUES))])
    low, high = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert (estimate.n, estimate.over) == (5, ("seed",))
    assert [estimate.low, estimate.high] == pytest.approx([low, high])
    assert p == pytest.approx(stats.ttest_1samp(VALUES, 0).pvalue)


@pytest.mark.parametrize("values", [[0.9], [0.5, 0.5], [0.3, 0.1 + 0.2]])
def test_one_value_or_equal_ones_have_no_interval(values: list[float]) -> None:
    """A t-test divides by their spread: scipy's would call two of them certain, or not a number."""
    ((estimate, p),) = estimates([sample_of(seeds(values))])
    assert (estimate.n, estimate.low, estimate.half_width, p) == (len(values), None, None, None)
    assert estimate.mean == pytest.approx(values[0])
    assert estimate.all_equal == (len(values) > 1)


def test_variances_over_seeds_and_images_add_up() -> None:
    # Two-way analysis of variance by hand: seed means 1 and 3, image means 1, 2, 3, no interaction.
    values = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])
    parts = spread(values, ("seed", "image"))
    assert [float(part.variance) for part in parts.values()] == pytest.approx([2.0, 1.0, 0.0])
    variance, df = combined(parts)
    assert variance.item() == pytest.approx(2 / 2 + 1 / 3)
    assert df.item() == pytest.approx((2 / 2 + 1 / 3) ** 2 / (1**2 / 1 + (1 / 3) ** 2 / 2))


def test_the_parts_are_unbiased_for_the_variance_of_the_mean() -> None:
    random = np.random.default_rng(0)
    shape = (4000, 4, 6, 20)
    effects = [
        (0.5, (4000, 4, 1, 1)),
        (0.3, (4000, 1, 6, 1)),
        (1.0, (4000, 1, 1, 20)),
        (0.4, (4000, 4, 6, 1)),
        (1, shape),
    ]
    values = sum((sd * random.standard_normal(size) for sd, size in effects), np.zeros(shape))
    variance, _ = combined(spread(values, ("teacher", "seed", "image")))
    assert variance.mean() == pytest.approx(values.mean(axis=(1, 2, 3)).var(), rel=0.06)


def test_an_interval_over_images_is_wider_and_says_so() -> None:
    random = np.random.default_rng(1)
    right = {(0, seed): (random.random(200) < 0.9).astype(float) for seed in range(4)}
    ((both, _),) = estimates([sample_of(right)])
    ((over_seeds, _),) = estimates([sample_of({s: float(a.mean()) for s, a in right.items()})])
    assert both.over == ("seed", "image")
    assert both.mean == pytest.approx(over_seeds.mean)
    assert both.n == over_seeds.n == 4


def test_fewer_than_three_teachers_are_averaged_and_more_are_a_sample() -> None:
    cells = {(t, s): 0.1 * t + 0.01 * s for t in range(3) for s in range(2)}
    assert sample_of(cells).over == ("teacher", "seed")
    two = sample_of({key: value for key, value in cells.items() if key[0] < 2})
    assert (two.over, two.teachers, two.values.tolist()) == (("seed",), 2, [0.05, pytest.approx(0.06)])


def test_results_without_their_counterparts_are_left_out() -> None:
    cells = {(t, s): 1.0 * t + s for t in range(3) for s in range(4)}
    del cells[1, 2]
    sample = sample_of(cells)
    assert sample.values.shape == (3, 3)
    assert sample.cells == 9


def test_equal_variances_are_pooled_and_none_falls() -> None:
    random = np.random.default_rng(2)
    drawn = random.standard_normal((2000, 8, 5)).var(axis=-1, ddof=1)
    variances, df = moderated(drawn, np.array(4.0), np.array(32.0))
    assert (variances >= drawn).all()
    assert np.median(df) == 32.0
    assert np.sqrt(variances).std() < np.sqrt(drawn).std()


def test_the_prior_is_that_of_limma() -> None:
    # R: limma::squeezeVar(c(0.2, 1, 5, 0.05, 3, 40), df = 4) has df.prior and var.prior that solve these two equations.
    drawn = np.array([0.2, 1.0, 5.0, 0.05, 3.0, 40.0])
    variances, df = moderated(drawn, np.array(4.0), np.array(24.0))
    prior_df = df[0] - 4
    prior = (variances[3] * df[0] - 4 * drawn[3]) / prior_df
    logs = np.log(drawn)
    from scipy.special import polygamma, psi

    assert polygamma(1, prior_df / 2) == pytest.approx(logs.var(ddof=1) - polygamma(1, 2), rel=1e-6)
    shift = psi(2) - math.log(2) - psi(prior_df / 2) + math.log(prior_df / 2)
    assert math.log(prior) == pytest.approx(logs.mean() - shift, rel=1e-6)
    assert (df == df[0]).all()


def test_what_cannot_gain_is_left_as_it_is() -> None:
    drawn = np.array([0.0, 1.0, 2.0])
    variances, df = moderated(drawn, np.array([4.0, 4.0, 4.0]), np.array([12.0, 4.0, 12.0]))
    assert (variances[0], df[0]) == (0.0, 4.0)
    assert (variances[1], df[1]) == (1.0, 4.0)
    assert df[2] > 4


def test_holm_by_hand() -> None:
    # Sorted 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.04 x 1; never falling.
    assert holm(np.array([0.04, 0.01, 0.03, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    left_out = holm(np.array([np.nan, 0.02, np.nan, 0.04]))
    assert left_out.tolist() == pytest.approx([np.nan, 0.04, np.nan, 0.04], nan_ok=True)
    assert holm(np.array([[0.7, 0.9]])).tolist() == [[1.0, 1.0]]
    assert holm(np.array([])).tolist() == []


def test_a_mark_tells_of_whom_a_claim_holds() -> None:
    estimate = estimates([sample_of(seeds(VALUES))])[0][0]
    found = marked([Gain(estimate, p=p) for p in (0.001, 0.001, 0.2, None)], [3, 1, 3, 3])
    assert [gain.mark for gain in found] == ["*", "†", "", ""]
    assert [gain.p_holm for gain in found[:3]] == pytest.approx([0.003, 0.003, 0.2])


def test_probability_of_improvement_is_mann_whitneys() -> None:
    found = some(improvement(seeds(VALUES), seeds(OTHERS)))
    assert found.mean == pytest.approx(stats.mannwhitneyu(VALUES, OTHERS).statistic / 25)
    assert 0 < some(found.low) < found.mean < some(found.high) < 1
    assert improvement(seeds(VALUES[:1]), seeds(OTHERS)) is None


def test_the_score_interval_solves_newcombes_equation() -> None:
    found = some(improvement(seeds(VALUES), seeds(OTHERS)))
    for end in map(some, (found.low, found.high)):
        spread_there = end * (1 - end) * (1 + 4 * ((1 - end) / (2 - end) + end / (1 + end))) / 25
        assert abs(found.mean - end) == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(spread_there))


def test_students_that_are_all_better_are_not_certain_to_be() -> None:
    found = some(improvement(seeds([0.9, 0.91, 0.92]), seeds([0.8, 0.81, 0.8])))
    assert (found.mean, found.high) == (1.0, 1.0)
    assert 0.4 < some(found.low) < 0.75


def test_students_of_one_teacher_count_by_their_likeness() -> None:
    grid = np.array([[0.90, 0.91, 0.92], [0.93, 0.94, 0.94], [0.88, 0.90, 0.89]])
    ratio = stats.f_oneway(*grid).statistic
    count = 9 / (1 + 2 * (ratio - 1) / (ratio + 2))  # By the intraclass correlation of three groups of three.
    ours = {(t, s): float(grid[t, s]) for t, s in np.ndindex(grid.shape)}
    found = some(improvement(ours, dict.fromkeys(ours, 0.9)))
    end = some(found.low)
    variance = end * (1 - end) * (1 + (count - 1) * ((1 - end) / (2 - end) + end / (1 + end))) / count**2
    assert found.mean - end == pytest.approx(stats.norm.ppf(0.975) * math.sqrt(variance))
    assert found.n == 9
    two = [
        {cell: value for cell, value in one.items() if cell[0] < 2}
        for one in (ours, dict.fromkeys(ours, 0.9))
    ]
    plain = [seeds([*one.values()]) for one in two]
    assert improvement(*two) == improvement(*plain), "claims are about these two teachers"


def test_the_interval_of_improvement_holds_the_truth_for_further_teachers() -> None:
    random = np.random.default_rng(0)
    true, inside = stats.norm.cdf(0.01 / math.sqrt(2 * (0.010**2 + 0.008**2))), 0
    for _ in range(400):
        grids = 0.9 + 0.010 * random.standard_normal((2, 3, 1)) + 0.008 * random.standard_normal((2, 3, 5))
        grids[0] += 0.01
        ours, theirs = ({(t, s): grid[t, s] for t, s in np.ndindex(grid.shape)} for grid in grids)
        found = some(improvement(ours, theirs))
        inside += some(found.low) <= true <= some(found.high)
    assert inside >= 0.93 * 400, "as 15 independent students each it holds 69 %"


def test_more_seeds_show_less_and_few_images_set_a_limit() -> None:
    gains = [detectable_gain(6, seeds, 1, 2000) for seeds in (3, 5, 10, 30)]
    assert gains == sorted(gains, reverse=True)
    assert detectable_gain(12, 5, 1, 2000) > gains[1], "more comparisons are corrected for"
    assert detectable_gain(6, 30, 1, 450) > detectable_gain(6, 30, 1, 10_000)
    assert detectable_gain(6, 5, 3, None) > detectable_gain(6, 5, 5, None)
    assert math.isinf(detectable_gain(6, 1, 1, None))


def test_it_is_said_what_would_do() -> None:
    first, second = forecast_lines(6, 5, 1, 10_000)
    assert "for these teachers (†), on new images like these 10,000" in first
    seeds = int(second.removeprefix("a gain of one point needs confirm.seeds: "))
    assert detectable_gain(6, seeds, 1, 10_000) <= 0.01 < detectable_gain(6, seeds - 1, 1, 10_000)
    assert list(forecast_lines(6, 1, 1, None)) == [
        "one seed marks no gain, however great: confirm with three seeds or more"
    ]
    assert "no number of seeds" in list(forecast_lines(6, 5, 1, 30))[1]
    assert "confirm.teacher_seeds: " in list(forecast_lines(6, 3, 3, None))[1]


@pytest.mark.parametrize("seeds", [5, 10])
def test_simulated_studies_mark_such_a_gain_about_four_times_in_five(seeds: int) -> None:
    better = 100 * detectable_gain(6, seeds, 1, None)
    found = measure(Setting("power", seeds=seeds, better=better), 400, 0)
    assert 0.62 < found["power"] < 0.9
    assert found["false claims"] <= 0.05
    assert np.isfinite(found["leader off"])
