"""Data classes of a ranking, shared by all output formats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pdsearch.analysis.groups import Metric, Role
from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.study_table import Row

__all__ = ["QUESTIONS", "Finding", "Leader", "Ranked", "Ranking"]

QUESTIONS: Mapping[str, str] = {
    "unpruned_same": "gain over the unpruned teacher with the same configuration",
    "alone": "gain over the same student alone",
    "unpruned_best": "gain over the unpruned teacher's own best configuration",
    "control": "gain over the whole teacher that was trained as long, with the same configuration",
}
"""The gains a ranking reports; each is its own family for Holm's correction."""

Finding: TypeAlias = Literal["gain", "no_gain", "loss", "one_pair", "no_pair", "unpruned"]


@dataclass(frozen=True)
class Ranked:
    """One line of a ranking.

    Args:
        role: "teacher" (pruned), "unpruned" (at its own best configuration) or "alone" (the student).
        label: Display name, unique in the ranking.
        rank: 1 is best; None for the student alone, which is no teacher, for unconfirmed teachers, for those whose
            students break a constraint, and where there are no validation images to rank by.
        best: The trial that represents the best configuration; the one of the lowest seeds if it was confirmed.
        trials: Feasible search trials with this teacher that finished or were stopped early.
        rung: Most epochs a search trial with this teacher reached.
        rung_of: Epochs such a trial was planned for.
        search_best: Best validation accuracy among the search trials at that rung.
        val: Validation accuracy over confirmation students; None where unconfirmed or not validated.
        test: Test accuracy over confirmation students.
        teacher_val: The teacher's own validation accuracy, mean over teacher seeds.
        teacher_test: The teacher's own test accuracy.
        seeds: Number of confirmation students.
        teacher_seeds: Number of their teachers.
        settings: Number of configurations confirmed with this teacher; this line shows the best one.
        broken: The constraint that the mean over the confirmation students breaks; such a line is not exported.
        gains_val: Gains in validation accuracy by question (`QUESTIONS`).
        gains_test: Gains in test accuracy by question.
    """

    role: Role
    label: str
    best: Row
    rank: int | None = None
    trials: int = 0
    rung: int = 0
    rung_of: int = 0
    search_best: float | None = None
    val: Estimate | None = None
    test: Estimate | None = None
    teacher_val: float | None = None
    teacher_test: float | None = None
    seeds: int = 0
    teacher_seeds: int = 0
    settings: int = 0
    broken: str | None = None
    gains_val: Mapping[str, Gain | None] = field(default_factory=dict)
    gains_test: Mapping[str, Gain | None] = field(default_factory=dict)

    @property
    def confirmed(self) -> bool:
        """Whether students with fresh seeds were trained at full budget."""
        return self.seeds > 0

    @property
    def once(self) -> bool:
        """Whether nothing was selected: the only configuration of its space was trained and tested once."""
        return not self.confirmed and self.best.test_accuracy is not None

    def estimates(self) -> tuple[Estimate, ...]:
        """Return the estimates shown with an interval: accuracies and gains."""
        gains = (self.gain(question) for question in QUESTIONS)
        found = (self.val, self.test, *(gain and gain.estimate for gain in gains))
        return tuple(estimate for estimate in found if estimate)

    def gain(self, question: str) -> Gain | None:
        """Return the gain to show: in test accuracy, which selected nothing, else in validation accuracy."""
        return self.gains_test.get(question) or self.gains_val.get(question)


@dataclass(frozen=True)
class Leader:
    """The finding about the first-ranked teacher: its students compared with those of the same teacher unpruned.

    Args:
        label: The teacher's label.
        finding: "gain" or "loss" if the interval of the gain excludes zero, else "no_gain"; "one_pair" if there is only
            one pair, "no_pair" if there is none; "unpruned" if the first teacher is unpruned.
        sentence: The finding as a sentence.
        metric: Metric of the gain, "test_accuracy" or "val_accuracy"; None where there is no gain.
        pairs: Number of pairs of students.
        gain: Gain over the unpruned teacher with the same configuration.
    """

    label: str
    finding: Finding
    sentence: str
    metric: Metric | None = None
    pairs: int = 0
    gain: Gain | None = None


@dataclass(frozen=True)
class Ranking:
    """Teachers ranked by the results of their students.

    Args:
        study: Name of the study.
        rows: Confirmed lines in order, those that break a constraint last, then unconfirmed ones.
        footer: Sentences needed to interpret the numbers.
        leader: The finding about the first-ranked teacher; None where no teacher has a rank, or none is pruned.
    """

    study: str
    rows: tuple[Ranked, ...]
    footer: tuple[str, ...] = ()
    leader: Leader | None = None

    def top(self, k: int) -> tuple[Ranked, ...]:
        """Return the k best teachers: confirmed ones by rank, then unconfirmed ones; none that breaks a constraint."""
        return tuple(row for row in self.rows if row.role != "alone" and row.broken is None)[:k]
