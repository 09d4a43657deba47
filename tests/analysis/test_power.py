"""What a confirmation can show is told before it runs, and agrees with what simulated studies show."""

import math

import numpy as np
import pytest

from benchmarks.truth import measure
from benchmarks.truth_model import Setting
from pdsearch.analysis.power import forecast, forecast_lines


def test_more_seeds_show_less_and_few_images_set_a_limit() -> None:
    gains = [forecast(6, seeds, 1, 2000) for seeds in (3, 5, 10, 30)]
    assert gains == sorted(gains, reverse=True)
    assert forecast(6, 30, 1, 450) > forecast(6, 30, 1, 10_000)
    assert forecast(6, 5, 3, None) > forecast(6, 5, 5, None)
    assert math.isinf(forecast(6, 1, 1, None))


def test_it_is_said_what_would_do() -> None:
    first, second = forecast_lines(6, 5, 1, 10_000)
    assert "for these teachers (†), on new images like these 10,000" in first
    seeds = int(second.removeprefix("a gain of one point needs confirm.seeds: "))
    assert forecast(6, seeds, 1, 10_000) <= 0.01 < forecast(6, seeds - 1, 1, 10_000)
    assert list(forecast_lines(6, 1, 1, None)) == [
        "one seed marks no gain, however great: confirm with three seeds or more"
    ]
    assert "no number of seeds" in list(forecast_lines(6, 5, 1, 30))[1]
    assert "confirm.teacher_seeds: " in list(forecast_lines(6, 3, 3, None))[1]


@pytest.mark.parametrize("seeds", [5, 10])
def test_simulated_studies_mark_such_a_gain_about_four_times_in_five(seeds: int) -> None:
    better = 100 * forecast(6, seeds, 1, None)
    found = measure(Setting("power", seeds=seeds, better=better), 400, 0)
    assert 0.62 < found["power"] < 0.9
    assert found["false claims"] <= 0.05
    assert np.isfinite(found["leader off"])
