"""How does a number read in a cell? Shares in per cent with two decimals, estimates with intervals."""

from pdsearch.analysis.statistics import Estimate, Gain

__all__ = ["percent", "show_estimate", "show_gain"]


SMALLEST = 0.5e-4
"""A smaller half of an interval would read as zero."""


def percent(value: float | None, *, signed: bool = False) -> str:
    """Return a share in per cent with two decimals, a dash for None."""
    return "-" if value is None else f"{100 * value:+.2f}" if signed else f"{100 * value:.2f}"


def show_estimate(estimate: Estimate | None) -> str:
    """Return a mean in per cent, with half its interval where there is one: "72.00 ± 4.97", "10.00 (all equal)"."""
    if estimate is None:
        return "-"
    half = estimate.half_width
    if half is None:
        return percent(estimate.mean) + _equal(estimate)
    return f"{percent(estimate.mean)} ± {percent(half) if half >= SMALLEST else '<0.01'}"


def show_gain(gain: Gain | None) -> str:
    """Return a gain in points with its interval, starred where it stands Holm's correction."""
    if gain is None:
        return "-"
    estimate, mark = gain.estimate, "*" if gain.p_holm is not None and gain.p_holm < 0.05 else ""
    mean = percent(estimate.mean, signed=True)
    if estimate.low is None:
        return mean + _equal(estimate)
    return f"{mean}{mark} [{percent(estimate.low, signed=True)}, {percent(estimate.high, signed=True)}]"


def _equal(estimate: Estimate) -> str:
    return " (all equal)" if estimate.all_equal else ""
