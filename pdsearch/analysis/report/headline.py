"""The headline of a report: a study's verdict in a line, with the gain beside it."""

from dataclasses import dataclass, replace

from pdsearch.analysis.ranked import Leader, Ranking
from pdsearch.analysis.statistics import Gain
from pdsearch.analysis.tables import chance, percent


@dataclass(frozen=True)
class Headline:
    """The verdict on a study.

    Args:
        text: The verdict in a line.
        sentence: By how much, against what, for whom it holds.
        figure: The gain in points; empty where there is none.
        interval: Its interval, and the probability of improvement.
        good: Whether a pruned teacher is shown to teach better.
        others: The same of the study's other students, a line each.
    """

    text: str
    sentence: str
    figure: str = ""
    interval: str = ""
    good: bool = False
    others: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The verdict with its figure."""
        return f"{self.text}: {self.figure} {self.interval}" if self.figure else self.text


def headline(ranking: Ranking) -> Headline:
    """Return the headline of a ranking.

    Args:
        ranking: A study's.
    """
    leader = ranking.leader
    if leader is None:
        confirmed = any(row.confirmed for row in ranking.rows)
        text = "Nothing was selected" if confirmed else "Nothing is confirmed yet"
        return Headline(text, ranking.footer[0] if ranking.footer else "No trial has ended.")
    several = len(ranking.leaders) > 1
    pruned = {row.student for row in ranking.rows if row.confirmed and row.role == "teacher"}
    first, *others = (
        _of(leader, several=several, pruned=leader.student in pruned) for leader in ranking.leaders
    )
    return replace(first, others=tuple(f"{one.line}." for one in others))


def _of(leader: Leader, *, several: bool, pruned: bool) -> Headline:
    student = leader.student if several else "student"
    worse = leader.alone is not None and leader.alone.estimate.mean < 0
    if worse:
        sure = leader.against_alone == "loss"
        text = (
            f"The {student} learns best without a teacher"
            if sure
            else f"No teacher is shown to help the {student}"
        )
        return Headline(
            text, leader.sentence, *_shown(leader.alone, "with its best teacher, over the student alone")
        )
    over = "over its unpruned self" if leader.gain else "over the student alone"
    figure, interval = _shown(leader.gain or leader.alone, over)
    text = _text(leader, f" {leader.student}" if several else "", pruned=pruned)
    return Headline(text, leader.sentence, figure, interval, good=leader.finding == "gain")


def _text(leader: Leader, student: str, *, pruned: bool) -> str:
    if leader.finding == "gain":
        return f"{leader.label} teaches better than its unpruned self"
    if not pruned:
        return f"No pruned teacher of{student or ' the study'} is confirmed"
    if leader.finding == "unpruned":
        return f"No pruned teacher teaches{student} better than the unpruned one"
    if leader.finding == "loss":
        return f"{leader.label} leads, and teaches worse than its unpruned self"
    return f"{leader.label} leads, but its gain is not shown"


def _shown(gain: Gain | None, over: str) -> tuple[str, str]:
    if gain is None:
        return "", ""
    estimate, better = gain.estimate, gain.better
    low, high = percent(estimate.low, signed=True), percent(estimate.high, signed=True)
    interval = "without an interval" if estimate.low is None else f"95 % interval {low} to {high}"
    often = "" if better is None else f"; better in {chance(gain)} % of pairs of students"
    return percent(estimate.mean, signed=True), f"points {over}, {interval}{often}"
