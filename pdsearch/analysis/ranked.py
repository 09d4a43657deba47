"""Data classes of a ranking, shared by all output formats."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pdsearch.analysis.groups import Metric, Role
from pdsearch.analysis.pareto import Front
from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.study_table import Row

QUESTIONS: Mapping[str, str] = {
    "unpruned_same": "gain over the unpruned teacher with the same configuration",
    "alone": "gain over the same student alone",
    "unpruned_best": "gain over the unpruned teacher's own best configuration",
    "alone_best": "gain over the student alone at its own best recipe",
    "control": "gain over the whole teacher that was trained as long, with the same configuration",
}
"""The gains a ranking reports; Holm's correction counts all of them together."""

Finding: TypeAlias = Literal["gain", "no_gain", "loss", "one_pair", "no_pair", "unpruned"]


@dataclass(frozen=True)
class Ranked:
    """One line of a ranking.

    Args:
        role: "teacher" (pruned), "unpruned" (at its own best configuration) or "alone" (the student).
        label: Display name, unique in the ranking.
        student: Name of the students that its own are ranked with (`students.alike`).
        rank: 1 is best among these; None for the student alone, which is no teacher, for unconfirmed teachers, for
            those whose students break a constraint, and where there are no validation images to rank by.
        best: The trial that represents the best configuration; the one of the lowest seeds if it was confirmed.
        trials: Feasible search trials with this teacher that finished or were stopped early.
        full_trials: Those of them that ran to their end, from which the configuration is chosen.
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
    student: str
    best: Row
    rank: int | None = None
    trials: int = 0
    full_trials: int = 0
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

    def gains(self) -> tuple[Gain, ...]:
        """Return the gains that are shown."""
        return tuple(gain for question in QUESTIONS if (gain := self.gain(question)))

    def estimates(self) -> tuple[Estimate, ...]:
        """Return the estimates shown with an interval: accuracies and gains."""
        found = (self.val, self.test, *(gain.estimate for gain in self.gains()))
        return tuple(estimate for estimate in found if estimate)

    def test_estimates(self) -> tuple[Estimate, ...]:
        """Return those of test accuracy."""
        found = (self.test, *(gain.estimate for gain in self.gains_test.values() if gain))
        return tuple(estimate for estimate in found if estimate)

    @property
    def over(self) -> str:
        """What the intervals hold for, in words."""
        tests = [estimate for estimate in self.test_estimates() if estimate.low is not None]
        by_image = bool(tests) and all("image" in estimate.over for estimate in tests)
        return (
            ", of test accuracies over seeds and test images" if by_image else " over seeds, for these images"
        )

    def gain(self, question: str) -> Gain | None:
        """Return the gain to show: in test accuracy, which selected nothing, else in validation accuracy."""
        return self.gains_test.get(question) or self.gains_val.get(question)


@dataclass(frozen=True)
class Leader:
    """The verdict on a first-ranked teacher: its students beside those of the same teacher unpruned, and alone.

    Its gains are corrected for its having been chosen as the best by the same students: each seed tests the teacher
    that the other seeds would have chosen.

    Args:
        label: The teacher's label.
        student: Name of its students.
        finding: "gain" if its gain stands both after correction and in the table, "loss" likewise, else "no_gain";
            "one_pair" if there is only one pair, "no_pair" if there is none; "unpruned" if that teacher is unpruned.
        sentence: The verdict in words.
        metric: Metric of the gains, "test_accuracy" or "val_accuracy"; None where there is no gain.
        pairs: Number of pairs of students.
        gain: Gain over the unpruned teacher with the same configuration.
        alone: Gain over the same student alone.
        against_alone: The finding of that gain.
        chosen_from: Number of confirmed teachers that the leader was chosen from.
        control: Whether it lost no weights, and is compared with the same teacher not trained on.
    """

    label: str
    student: str
    finding: Finding
    sentence: str
    metric: Metric | None = None
    pairs: int = 0
    gain: Gain | None = None
    alone: Gain | None = None
    against_alone: Finding = "no_pair"
    chosen_from: int = 1
    control: bool = False


@dataclass(frozen=True)
class Ranking:
    """Teachers ranked by the results of their students.

    Args:
        study: Name of the study.
        rows: Confirmed lines in order, student by student, those that break a constraint last, then unconfirmed ones.
        footer: Sentences needed to interpret the numbers; the leader's sentence is among them.
        leaders: The verdicts on the first-ranked teachers, one for each kind of student, the best student first; none
            where no teacher has a rank.
        never_tried: Teachers of the space that no trial had, by what they differ in; empty where they cannot be listed.
        front: The front of a study with several objectives.
    """

    study: str
    rows: tuple[Ranked, ...]
    footer: tuple[str, ...] = ()
    leaders: tuple[Leader, ...] = ()
    never_tried: tuple[str, ...] = ()
    front: Front | None = None

    @property
    def leader(self) -> Leader | None:
        """The first of the verdicts."""
        return next(iter(self.leaders), None)

    def top(self, k: int) -> tuple[Ranked, ...]:
        """Return the k best teachers: confirmed ones by rank, then unconfirmed ones; none that breaks a constraint."""
        found = [row for row in self.rows if row.role != "alone" and row.broken is None]
        return tuple(sorted(found, key=lambda row: math.inf if row.rank is None else row.rank)[:k])
