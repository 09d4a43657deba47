"""The verdict of a report: its headline, the figure beside it, and the sentence that says for whom it holds."""

from dataclasses import dataclass

from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.statistics import Gain
from pdsearch.analysis.tables import percent

__all__ = ["Verdict", "verdict"]


@dataclass(frozen=True)
class Verdict:
    """The finding of a study.

    Args:
        headline: The finding in a line.
        sentence: Against what, by how much, for whom it holds.
        figure: The gain in points; empty where there is none.
        interval: Its interval and what it is of.
        good: Whether a pruned teacher is shown to teach better.
    """

    headline: str
    sentence: str
    figure: str = ""
    interval: str = ""
    good: bool = False


def verdict(ranking: Ranking) -> Verdict:
    """Return the verdict of a ranking.

    Args:
        ranking: A study's.
    """
    leader = ranking.leader
    first = next((row for row in ranking.rows if row.rank == 1), None)
    if first is None:
        confirmed = any(row.confirmed for row in ranking.rows)
        headline = "Nothing was selected" if confirmed else "Nothing is confirmed yet"
        return Verdict(headline, ranking.footer[0] if ranking.footer else "No trial has ended.")
    better_alone = _alone_is_better(ranking, first)
    if better_alone is not None:
        figure, interval = _shown(first.gain("alone"))
        sentence = f"{better_alone} {leader.sentence}" if leader else better_alone
        return Verdict("The student learns best without a teacher", sentence, figure, interval)
    if leader is None:
        return Verdict(f"{first.label} teaches best", "No pruned teacher was tried.")
    headline = {
        "gain": f"{first.label} teaches better than its unpruned self",
        "loss": f"{first.label} leads, and teaches worse than its unpruned self",
        "unpruned": "No pruned teacher teaches better than the unpruned one",
    }.get(leader.finding, f"{first.label} leads, but its gain is not shown")
    figure, interval = _shown(leader.gain)
    return Verdict(headline, leader.sentence, figure, interval, good=leader.finding == "gain")


def _shown(gain: Gain | None) -> tuple[str, str]:
    if gain is None:
        return "", ""
    estimate = gain.estimate
    low, high = percent(estimate.low, signed=True), percent(estimate.high, signed=True)
    interval = "no interval" if estimate.low is None else f"95 % interval {low} to {high}"
    return percent(estimate.mean, signed=True), f"points, {interval}"


def _alone_is_better(ranking: Ranking, first: Ranked) -> str | None:
    """Return the sentence about the student alone where its mean is above that of the first teacher's students."""
    alone = next((row for row in ranking.rows if row.role == "alone"), None)
    ours, theirs = (row and (row.test or row.val) for row in (first, alone))
    if not ours or not theirs or theirs.mean <= ours.mean:
        return None
    gain = first.gain("alone")
    sure = gain is not None and gain.estimate.high is not None and gain.estimate.high < 0
    shown = "" if sure else ", a difference that is not shown"
    return (
        f"Without any teacher the student reaches {percent(theirs.mean)} %, taught by the first ranked teacher"
        f" ({first.label}) {percent(ours.mean)} %{shown}."
    )
