"""Several studies side by side: what each found, and whether their accuracies can be compared."""

from collections.abc import Iterator, Sequence

from pdsearch.analysis.figures import Figure, gains_figure
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report.content import Block, Notes, Page, Section
from pdsearch.analysis.report.headline import Headline, headline
from pdsearch.analysis.study_table import StudyTable
from pdsearch.analysis.tables import Table, show_estimate, show_gain


def compare(studies: Sequence[StudyTable]) -> Page:
    """Return a report that sets studies side by side.

    Args:
        studies: Two or more, in the order of the lines.
    """
    rankings = [rank_teachers(study) for study in studies]
    names = [study.name for study in studies]
    if len(set(names)) < len(names):
        names = [f"{name} ({place})" for place, name in enumerate(names, start=1)]
    same = len({study.about.data.fingerprint for study in studies}) == 1
    told = Headline(
        f"{len(studies)} studies side by side",
        "All were tested on the same images: their accuracies can be compared."
        if same
        else "They were not tested on the same images: gains can be compared, accuracies cannot.",
    )
    found = Section("studies", "What each found", tuple(_found(studies, rankings, names)))
    return Page(" and ".join(names), f"{len(studies)} studies", told, (found,), [])


def _found(
    studies: Sequence[StudyTable], rankings: Sequence[Ranking], names: Sequence[str]
) -> Iterator[Block]:
    columns = (
        "study",
        "verdict",
        "first teacher",
        "gain over unpruned",
        "student test %",
        "alone test %",
        "trials",
        "hours",
    )
    numeric = (False, False, False, True, True, True, True, True)
    rows = []
    for study, ranking, name in zip(studies, rankings, names, strict=True):
        first = next(iter(ranking.top(1)), None)
        alike = (row for row in ranking.rows if first is None or row.student == first.student)
        alone = next((row for row in alike if row.role == "alone"), None)
        rows.append(
            (
                name,
                headline(ranking).text,
                first.label if first else "-",
                show_gain(ranking.leader.gain if ranking.leader else None),
                show_estimate(first.test) if first else "-",
                show_estimate(alone.test) if alone else "-",
                str(sum(row.kind == "search" for row in study.rows)),
                f"{sum(row.seconds for row in study.rows) / 3600:.2f}",
            )
        )
    yield Table("", columns, numeric, tuple(rows), ())
    yield Notes(tuple(f"{name}: {headline(r).sentence}" for name, r in zip(names, rankings, strict=True)))
    yield from _figure(rankings, names)


def _figure(rankings: Sequence[Ranking], names: Sequence[str]) -> Iterator[Figure]:
    found = [
        (row.label, name, gain.estimate)
        for name, ranking in zip(names, rankings, strict=True)
        for row in ranking.rows
        if (gain := row.gain("unpruned_same"))
    ]
    empty = Figure("comparison", "studies", "Gains, study by study", "Means with 95 % intervals.", {})
    yield from gains_figure(found, names, "gain over the unpruned teacher, points", empty)
