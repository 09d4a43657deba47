"""Gains of students over the baselines, paired by seed; those of the leader corrected for its selection."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from pdsearch.analysis.crossed import Floats
from pdsearch.analysis.groups import Group, Line, Metric, paired_differences, role_of
from pdsearch.analysis.ranked import QUESTIONS
from pdsearch.analysis.statistics import (
    METHODS,
    Estimate,
    Gain,
    Sample,
    Seeds,
    estimates,
    improvement,
    marked,
    sample_of,
)
from pdsearch.analysis.study_table import Row, setting_of
from pdsearch.objectives import Aims
from pdsearch.records.codec import encode
from pdsearch.specs import digest

_CHOOSING = ("method", "params", "code", "scope", "exclude", "weights", "round_to")
"""Fields of pruning that select the weights to remove, and do not affect how long the teacher is trained."""

Families: TypeAlias = Mapping[str, Mapping[str, Gain]]
"""Question -> setting of the group -> gain."""

Corrected: TypeAlias = Mapping[tuple[str, str], Gain]
"""Student and question -> the gain of the teacher that leads, corrected for its selection."""

Results: TypeAlias = dict[Seeds, float | Floats]


@dataclass(frozen=True)
class Compared:
    """What a ranking compares.

    Args:
        best: One group for each teacher and student, its best configuration; each one where nothing was selected.
        groups: All confirmed groups, baselines included.
        ranked: The groups that may lead, by student: teachers' best ones that keep the constraints, the leader first.
        trials: Full search trials of each line.
        aims: By which the leader is chosen.
    """

    best: Sequence[Group]
    groups: Sequence[Group]
    ranked: Mapping[str, Sequence[Group]]
    trials: Mapping[Line, int]
    aims: Aims


def all_gains(compared: Compared, metric: Metric) -> tuple[Families, Corrected]:
    """Return the gain for every question of `ranked.QUESTIONS` and every line, and the leaders' corrected ones.

    p-values are adjusted for all gains together; corrected gains repeat claims of the table and count no second time.
    """
    asked = [
        (question, group, partners)
        for question, group, partners in _questions(compared)
        if paired_differences(group.rows, partners, metric)
    ]
    gains, samples = [], []
    for question, group, partners in asked:
        gain, sample = _gain(group, partners, metric, compared.trials, question)
        gains.append(gain)
        samples.append(sample)
    again = {
        (student, question): sample
        for student, ranked in compared.ranked.items()
        for question, sample in _selected(
            ranked, compared.aims, metric, [one for one in asked if one[1].student == student]
        )
    }
    columns = [*(question for question, *_ in asked), *(question for _, question in again)]
    found = estimates([*samples, *again.values()], columns, borrowing=len(again))
    whole = [replace(gain, estimate=e, p=p) for gain, (e, p) in zip(gains, found, strict=False)]
    whole = marked(whole, [sample.teachers for sample in samples])
    families: dict[str, dict[str, Gain]] = {question: {} for question in QUESTIONS}
    for (question, group, _), gain in zip(asked, whole, strict=True):
        families[question][group.setting] = gain
    corrected = {
        (student, question): _corrected(
            families[question].get(compared.ranked[student][0].setting), *estimate
        )
        for (student, question), estimate in zip(again, found[len(samples) :], strict=True)
    }
    return families, corrected


def _questions(compared: Compared) -> Iterator[tuple[str, Group, Mapping[Seeds, Row]]]:
    """Yield each question about each group, with the students it is compared with."""
    rows = {(row.config, row.student_seed): row for group in compared.groups for row in group.rows.values()}
    # Without validation nothing was selected, so no unpruned teacher has a best configuration of its own.
    validated = [group for group in compared.best if group.validated]
    own_best = {(_dense(g), g.student): g for g in validated if role_of(g.first) == "unpruned"}
    controls = {_as_long(group): group for group in compared.groups if group.control}
    lone = {group.student: group for group in validated if group.teacher is None}
    for group in compared.best:
        if group.teacher is None:
            continue
        if role_of(group.first) == "teacher":
            yield "unpruned_same", group, _named(group, "unpruned_config", rows)
            best = own_best.get((_dense(group), group.student))
            yield "unpruned_best", group, best.rows if best else {}
        yield "alone", group, _named(group, "alone_config", rows)
        alone = lone.get(group.student)
        if alone is not None and alone.first.config != group.first.alone_config:
            yield "alone_best", group, _of_seed(group, alone)
        if role_of(group.first) == "teacher":
            yield "control", group, _trained_as_long(group, controls)


def _named(group: Group, baseline: str, rows: Mapping[tuple[str, int], Row]) -> Mapping[Seeds, Row]:
    """Return the students of the baseline that each record names, at the same student seed."""
    found = {s: rows.get((getattr(row, baseline) or "", row.student_seed)) for s, row in group.rows.items()}
    return {seeds: row for seeds, row in found.items() if row is not None}


def _of_seed(group: Group, other: Group) -> Mapping[Seeds, Row]:
    """Return the students of a group without teachers, at the same student seeds."""
    by_seed = {row.student_seed: row for row in other.rows.values()}
    return {s: by_seed[row.student_seed] for s, row in group.rows.items() if row.student_seed in by_seed}


def _trained_as_long(group: Group, controls: Mapping[str, Group]) -> Mapping[Seeds, Row]:
    """Return the students of the unpruned control that was trained as long as a pruned teacher."""
    control = None if group.control else controls.get(_as_long(group))
    # If teachers shape their students, these have different architectures and cannot be compared.
    same = control is not None and control.first.student_params == group.first.student_params
    return control.rows if control and same else {}


def _as_long(group: Group) -> str:
    """Return the hash of a configuration without seeds and without the fields that select the weights to remove."""
    spec = encode(group.first.record.spec)
    prune = {name: value for name, value in spec["prune"].items() if name not in _CHOOSING}
    return setting_of({**spec, "prune": prune})


def _dense(group: Group) -> str:
    """Return the hash of a dense teacher without its seed; includes augmentation, since it is trained on views."""
    spec = encode(group.first.record.spec)
    teacher = {name: value for name, value in spec["teacher"].items() if name != "seed"}
    return digest({**teacher, "augment": spec["data"].get("augment", "none")})


def _gain(
    group: Group,
    partners: Mapping[Seeds, Row],
    metric: Metric,
    trials: Mapping[Line, int],
    question: str,
) -> tuple[Gain, Sample]:
    """Return a gain but for its interval, and what that is made of."""
    sample = _sampled(question, paired_differences(group.rows, partners, metric))
    theirs = next(iter(partners.values()))
    chosen = question in ("unpruned_best", "alone_best")
    others_line = theirs.teacher_config, group.student
    counts = trials.get(group.line, 0), trials.get(others_line, 0) if chosen else 0
    others = {
        (row.teacher_seed or 0, row.student_seed): value
        for row in partners.values()
        if (value := getattr(row, metric)) is not None
    }
    better = improvement(group.values(metric), others)
    unpaired = len(group.values(metric)) - sample.cells
    whole = Gain(_NO_ESTIMATE, better=better, unpaired=unpaired, trials=counts)
    return whole, sample


_NO_ESTIMATE = estimates([Sample(np.zeros(()), (), 1, 1)])[0][0]


def _selected(
    ranked: Sequence[Group],
    aims: Aims,
    metric: Metric,
    asked: Iterable[tuple[str, Group, Mapping[Seeds, Row]]],
) -> Iterator[tuple[str, Sample]]:
    """Yield, for each question, what the choice of a leader gains: chosen without a seed's students, marked on them.

    The students by which a leader was chosen flatter it: validation and test accuracy of one student go together. So
    each seed tests the teacher that the other seeds would have chosen (cross-fitting). An unpruned teacher gains
    nothing over itself. A teacher without students of other seeds is not chosen; what no seed tests is not corrected.
    """
    by_question: dict[str, dict[str, Results]] = {}
    for question, group, partners in asked:
        results = paired_differences(group.rows, partners, metric)
        by_question.setdefault(question, {})[group.setting] = results
    cells = sorted({seeds for group in ranked for seeds in group.rows})
    # One student seed for all is no sample: teachers alone vary.
    varied = (ranked[0].teacher_seeds >= METHODS, len({student for _, student in cells}) > 1)
    tested = ((seeds, _chosen(ranked, aims, seeds, varied)) for seeds in cells)
    chosen = {seeds: lead for seeds, lead in tested if lead is not None}
    for question, by_setting in by_question.items():
        found: Results = {}
        for seeds, lead in chosen.items():
            known = by_setting.get(lead.setting, {})
            if seeds in known:
                found[seeds] = known[seeds]
            elif question not in ("alone", "alone_best") and role_of(lead.first) == "unpruned":
                found[seeds] = 0.0
        if found:
            yield question, _sampled(question, _alike(found))


def _sampled(question: str, results: Results) -> Sample:
    """Return differences as a sample; those from one and the same student alone, of which its luck is part, as one."""
    sample = sample_of(results)
    if question not in ("alone", "alone_best") or len({student for _, student in results}) > 1:
        return sample
    whole = np.array([*results.values()], dtype=np.float64).mean(axis=0)
    return replace(sample_of({next(iter(results)): whole}), cells=sample.cells)


def _chosen(ranked: Sequence[Group], aims: Aims, seeds: Seeds, varied: tuple[bool, bool]) -> Group | None:
    """Return the group that leads by the students that share none of the varied seeds, teacher's and student's."""

    def independent(others: Seeds) -> bool:
        return all(a != b for a, b, varies in zip(seeds, others, varied, strict=True) if varies)

    known = [(group, means) for group in ranked if (means := group.means(independent))]
    return max(known, key=lambda one: aims.merit(one[1]))[0] if known else None


def _alike(results: Results) -> Results:
    """Return results all by image, or none of them."""
    sizes = {np.size(value) for value in results.values() if np.ndim(value)}
    if len(sizes) != 1 or any(not np.ndim(value) and value for value in results.values()):
        return {seeds: float(np.mean(value)) for seeds, value in results.items()}
    (size,) = sizes
    return {seeds: np.broadcast_to(value, (size,)) for seeds, value in results.items()}


def _corrected(gain: Gain | None, estimate: Estimate, p: float | None) -> Gain:
    """Return the leader's gain with its corrected estimate; its mark stays only where that excludes zero likewise."""
    gain = gain or Gain(estimate)
    low, high = estimate.low, estimate.high
    stands = low is not None and high is not None and (low > 0 if gain.estimate.mean > 0 else high < 0)
    return replace(gain, estimate=estimate, p=p, mark=gain.mark if stands else "")
