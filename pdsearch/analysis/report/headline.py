"""The headline of a report: a study's verdict in a line, with the gain beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pdsearch.analysis.ranked import Leader, Ranked, Ranking
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
    """Return the headline of a ranking."""
    if not ranking.leaders:
        return _without_leader(ranking)
    several = len(ranking.leaders) > 1
    first, *others = (
        _of(leader, [row for row in ranking.rows if row.student == leader.student], several=several)
        for leader in ranking.leaders
    )
    return replace(first, others=tuple(f"{one.line}." for one in others))


def _without_leader(ranking: Ranking) -> Headline:
    confirmed = [row for row in ranking.rows if row.confirmed]
    broken = next((row for row in confirmed if row.broken is not None and row.role != "alone"), None)
    if broken is not None:
        text = "No confirmed teacher's students keep every constraint"
        return Headline(text, f"Those of {broken.label} have a mean {broken.broken}.")
    if confirmed and all(row.val is not None for row in confirmed):
        text = "No pruned teacher of the study is confirmed"
    else:
        text = "Nothing was selected" if confirmed else "Nothing is confirmed yet"
    return Headline(text, ranking.footer[0] if ranking.footer else "No trial has ended.")


def _of(leader: Leader, rows: Sequence[Ranked], *, several: bool) -> Headline:
    """Return the headline of the teachers of one kind of student, given their lines."""
    if leader.alone is not None and leader.alone.estimate.mean < 0:
        over = "with the leading teacher, against the student alone"
        text = _worse_than_alone(leader, rows, leader.student if several else "student")
        return Headline(text, leader.sentence, *_shown(leader.alone, over))
    beside = "the same teacher not trained on" if leader.control else "its unpruned self"
    figure, interval = _shown(
        leader.gain or leader.alone, f"over {beside if leader.gain else 'the student alone'}"
    )
    pruned = any(row.confirmed and row.role == "teacher" for row in rows)
    text = _text(leader, beside, f" {leader.student}" if several else "", pruned=pruned)
    return Headline(text, leader.sentence, figure, interval, good=leader.finding == "gain")


def _worse_than_alone(leader: Leader, rows: Sequence[Ranked], student: str) -> str:
    gains = [gain for row in rows if (gain := row.gain("alone"))]
    if any(gain.mark and gain.estimate.mean > 0 for gain in gains):
        return f"{leader.label} leads, and is not shown to help the {student}"
    if leader.against_alone != "loss":
        return f"No teacher is shown to help the {student}"
    if any(gain.estimate.mean > 0 for gain in gains):
        return f"{leader.label} leads, and the {student} learns better without it"
    return f"The {student} learns best without a teacher"


def _text(leader: Leader, beside: str, student: str, *, pruned: bool) -> str:
    if leader.finding == "gain":
        return f"{leader.label} teaches better than {beside}"
    if not pruned:
        return f"No pruned teacher of{student or ' the study'} is confirmed"
    if leader.finding == "unpruned":
        return f"No pruned teacher teaches{student} better than the unpruned one"
    if leader.finding == "loss":
        return f"{leader.label} leads, and teaches worse than {beside}"
    if leader.finding == "no_gain":
        return f"{leader.label} leads, with no sure gain"
    return f"{leader.label} leads, and whether it gains is not shown"


def _shown(gain: Gain | None, over: str) -> tuple[str, str]:
    if gain is None:
        return "", ""
    estimate, better = gain.estimate, gain.better
    low, high = percent(estimate.low, signed=True), percent(estimate.high, signed=True)
    interval = "without an interval" if estimate.low is None else f"95 % interval {low} to {high}"
    often = "" if better is None else f"; better in {chance(gain)} % of pairs of students"
    return percent(estimate.mean, signed=True), f"points {over}, {interval}{often}"
