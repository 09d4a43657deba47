"""Several studies side by side: what each found, and whether their accuracies can be compared."""

from collections.abc import Iterator, Sequence

from pdsearch.analysis.figures import Figure, gains_figure
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report.content import Block, Notes, Page, ReportSection
from pdsearch.analysis.report.headline import Headline, headline
from pdsearch.analysis.study_table import StudyTable
from pdsearch.analysis.tables import Cells, show_estimate, show_gain, tabulate


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
    found = ReportSection("studies", "What each found", tuple(_found(studies, rankings, names)))
    return Page(" and ".join(names), f"{len(studies)} studies", told, (found,), [])


def _found(
    studies: Sequence[StudyTable], rankings: Sequence[Ranking], names: Sequence[str]
) -> Iterator[Block]:
    cells: Cells[tuple[str, StudyTable, Ranking]] = (
        ("study", False, lambda one: one[0]),
        ("verdict", False, lambda one: headline(one[2]).text),
        ("first teacher", False, lambda one: first.label if (first := _first(one[2])) else "-"),
        ("gain over unpruned", True, lambda one: show_gain(one[2].leader.gain if one[2].leader else None)),
        ("student test %", True, lambda one: show_estimate(getattr(_first(one[2]), "test", None))),
        ("alone test %", True, lambda one: show_estimate(getattr(_alone(one[2]), "test", None))),
        ("trials", True, lambda one: str(sum(row.kind == "search" for row in one[1].rows))),
        ("hours", True, lambda one: f"{sum(row.seconds for row in one[1].rows) / 3600:.2f}"),
    )
    yield tabulate("", cells, zip(names, studies, rankings, strict=True))
    yield Notes(tuple(f"{name}: {headline(r).sentence}" for name, r in zip(names, rankings, strict=True)))
    yield from _figure(rankings, names)


def _first(ranking: Ranking) -> Ranked | None:
    return next(iter(ranking.top(1)), None)


def _alone(ranking: Ranking) -> Ranked | None:
    """Return the line of the student alone, of the kind that the first teacher has."""
    first = _first(ranking)
    alike = (row for row in ranking.rows if first is None or row.student == first.student)
    return next((row for row in alike if row.role == "alone"), None)


def _figure(rankings: Sequence[Ranking], names: Sequence[str]) -> Iterator[Figure]:
    found = [
        (row.label, name, gain.estimate)
        for name, ranking in zip(names, rankings, strict=True)
        for row in ranking.rows
        if (gain := row.gain("unpruned_same"))
    ]
    empty = Figure("comparison", "studies", "Gains, study by study", "Means with 95 % intervals.", {})
    yield from gains_figure(found, names, "gain over the unpruned teacher, points", empty)
