"""The content of a report, whatever its form: the verdict, and sections of texts, tables and figures."""

import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from pdsearch.analysis.display_names import of_what, several
from pdsearch.analysis.figures import Figure, result_figures, search_figures, trial_points
from pdsearch.analysis.figures.search import Spent, spent
from pdsearch.analysis.figures.style import Points, method_of
from pdsearch.analysis.importance import importances
from pdsearch.analysis.pareto import Front
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report.headline import Headline, headline
from pdsearch.analysis.study_table import Row, StudyTable, searched_values
from pdsearch.analysis.tables import (
    Cells,
    Table,
    front_as_table,
    percent,
    split_columns,
    tables_by_student,
    tabulate,
)
from pdsearch.specs import Json


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Notes:
    """Sentences that say how to read what stands above."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Lines to be copied as they stand: commands, or a file."""

    text: str


@dataclass(frozen=True)
class Trials:
    """The table of all trials, which the page can sort and filter."""

    table: Table


Block: TypeAlias = Text | Notes | Code | Table | Trials | Figure


@dataclass(frozen=True)
class ReportSection:
    """A part of a report: its anchor, its heading, and what it holds."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A report.

    Args:
        study: Name of the study, or of those compared.
        about: A line on what was run, when, by which version.
        headline: Its verdict.
        sections: Its parts; those without content are left out.
        points: The data that figures name "trials".
    """

    study: str
    about: str
    headline: Headline
    sections: tuple[ReportSection, ...]
    points: Points

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, in their order."""
        return tuple(block for part in self.sections for block in part.blocks if isinstance(block, Figure))


def build_report(study: StudyTable) -> Page:
    """Return the report of a study."""
    ranking = rank_teachers(study)
    found = importances(study.rows)
    drawn: dict[str, list[Figure]] = defaultdict(list)
    for figure in chain(result_figures(study, ranking), search_figures(study, ranking, found)):
        drawn[figure.section].append(figure)
    sections = (
        ReportSection(
            "ranking", "The teachers, ranked by their students", tuple(_ranking(ranking, drawn["ranking"]))
        ),
        ReportSection("why", "Why", (*drawn["why"], *_best(ranking))),
        ReportSection("search", "The search", tuple(drawn["search"])),
        ReportSection("parameters", "What mattered", (*_untold(found.reason), *drawn["parameters"])),
        ReportSection("cost", "What it cost, and what reuse saved", (*drawn["cost"], *_cost(study))),
        ReportSection(
            "front", "Trials that none beats in all objectives", (*drawn["front"], *_front(ranking.front))
        ),
        ReportSection("trials", "Every trial", tuple(_trials(study))),
        ReportSection("failures", "What failed", tuple(_failures(study))),
        ReportSection("reproduce", "How to reproduce it", tuple(_reproduce(study, ranking))),
    )
    whole = tuple(section for section in sections if section.blocks)
    return Page(study.name, _about(study), headline(ranking), whole, trial_points(study))


def _about(study: StudyTable) -> str:
    kinds = Counter(row.kind for row in study.rows)
    states = Counter(row.state for row in study.rows if row.kind == "search")
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    counts = (
        f"{kinds['search']} search trials ({told or 'none ended'}), {kinds['confirm']} confirmation students"
    )
    ended = max((row.finished_at or "" for row in study.rows), default="")[:10]
    data = study.about.space.section("data").get("source", "data")
    made_by = study.about.versions.get("pdsearch")
    parts = (str(data), counts, ended and f"last trial {ended}", made_by and f"pdsearch {made_by}")
    return " · ".join(part for part in parts if part)


def _ranking(ranking: Ranking, figures: Sequence[Figure]) -> Iterator[Block]:
    tables = tables_by_student(ranking, detail=True)
    parts = [split_columns(table, [6, len(table.columns)]) for table in tables]
    for first, _ in parts:
        yield first if len(tables) > 1 else replace(first, title="")
    yield Notes(tables[-1].footer)
    yield from figures
    for _, more in parts:
        yield replace(more, title=f"{more.title}, in detail" if len(tables) > 1 else IN_DETAIL)


IN_DETAIL = "The teachers and their students in detail"


def _untold(reason: str | None) -> Iterator[Block]:
    if reason:
        yield Text(f"The trials cannot tell what mattered most: {reason}.")


def _best(ranking: Ranking) -> Iterator[Block]:
    for row in ranking.top(1):
        state = "confirmed" if row.confirmed else "unconfirmed"
        yield _pairs(_configuration(row.best), f"The best configuration: {row.label}, {state}")


def _configuration(best: Row) -> dict[str, Json]:
    pruned: dict[str, Json] = {"pruning": "none"}
    if best.prune_method is not None:
        pruned = {
            "pruning": best.prune_method,
            "sparsity achieved": f"{percent(best.teacher_sparsity)} % in {several(best.prune_rounds or 0, 'round')}",
            "of what": of_what(best.teacher_prunable, best.teacher_params),
            "recovery": best.prune_recovery,
        }
    loss = {f"{best.loss}, {name}": value for name, value in best.record.spec.distill.params}
    return {"teacher": best.teacher_model, **pruned, "student": best.student_model, "loss": best.loss, **loss}


def _pairs(values: Mapping[str, Json], title: str = "") -> Table:
    rows = tuple(
        (name, value if isinstance(value, str) else _number(value)) for name, value in values.items()
    )
    return Table(title, ("", ""), (False, False), rows, ())


def _number(value: Json) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value)


def _cost(study: StudyTable) -> Iterator[Block]:
    stages, rows = spent(study), study.rows
    if stages:
        yield _stages(stages)
    machines = sorted({f"{row.host} ({row.device})" for row in rows if row.host})
    yield _pairs(
        {
            "epochs of students": sum(row.epochs_distill for row in rows),
            "epochs of recovery after pruning": sum(row.epochs_prune for row in rows),
            "hours of trials, added up": f"{sum(row.seconds for row in rows) / 3600:.3f}",
            "machines": ", ".join(machines) or "not recorded",
        }
    )


def _stages(stages: Sequence[Spent]) -> Table:
    once, saved = (sum(getattr(item, name) for item in stages) for name in ("seconds", "saved"))
    cells: Cells[Spent] = (
        ("stage", False, lambda item: item.stage),
        ("different results", True, lambda item: str(item.made or "")),
        ("uses", True, lambda item: str(item.uses or "")),
        ("seconds spent", True, lambda item: f"{item.seconds:,.1f}"),
        ("seconds saved", True, lambda item: f"{item.saved:,.1f}"),
        ("times as long without reuse", True, _times_as_long),
    )
    return tabulate("", cells, [*stages, Spent("all", 0, 0, once, saved)])


def _times_as_long(item: Spent) -> str:
    return f"{(item.seconds + item.saved) / item.seconds:.1f}" if item.seconds else "-"


def _front(front: Front | None) -> Iterator[Block]:
    if front is not None:
        table = front_as_table(front)
        yield table
        if table.footer:
            yield Notes(table.footer)


def _trials(study: StudyTable) -> Iterator[Block]:
    if not study.rows:
        return
    names = study.about.space.searched
    # What the other columns show of teacher and pruning is not repeated.
    shown = [name for name in names if name not in ("prune.method", "teacher.model")]
    cells: Cells[tuple[Row, Mapping[str, Json]]] = (
        ("trial", False, lambda one: one[0].id),
        ("kind", False, lambda one: one[0].kind),
        ("state", False, lambda one: one[0].state),
        ("val %", True, lambda one: percent(one[0].val_accuracy)),
        ("test %", True, lambda one: percent(one[0].test_accuracy)),
        ("teacher", False, lambda one: " ".join(filter(None, (one[0].teacher_model, method_of(one[0]))))),
        ("sparsity %", True, lambda one: percent(one[0].teacher_sparsity)),
        ("epochs", True, lambda one: str(one[0].epochs)),
        *((name, True, lambda one, name=name: _cell(one[1][name])) for name in shown),
        ("seconds", True, lambda one: f"{one[0].seconds:.1f}"),
    )
    yield Trials(tabulate("", cells, [(row, searched_values(row, names)) for row in study.rows]))


def _cell(value: Json) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)


def _failures(study: StudyTable) -> Iterator[Block]:
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in study.rows:
        if row.state in ("failed", "infeasible"):
            reasons[row.state, (row.reason or "no reason recorded").strip()].append(row.id)
    rows = [
        (str(len(ids)), state, reason, ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else ""))
        for (state, reason), ids in sorted(reasons.items(), key=lambda item: -len(item[1]))
    ]
    if rows:
        names = ("trials", "state", "reason", "which")
        yield Table("", names, (True, False, False, False), tuple(rows), ())
    if study.broken:
        yield Notes(tuple(f"{broken.path.name} is no record: {broken.reason}" for broken in study.broken))


def _reproduce(study: StudyTable, ranking: Ranking) -> Iterator[Block]:
    space, read = study.about.space, study.about.data.read
    if read:
        yield Notes(tuple(f"Data: {line}" for line in read))
    yield Text(
        "The study's space, every default included, is in its study.json; an export holds one trial of it."
    )
    folder = shlex.quote(f"<storage>/{study.name}")
    commands = [f"pdsearch run {shlex.quote(study.name)}.yaml", f"pdsearch rank {folder}"]
    if ranking.top(1):
        commands += [f"pdsearch export {folder} --out best", "pdsearch reproduce best/1-*"]
    yield Code("\n".join(commands))
    yield _pairs(dict(_facts(study)), "Data, seeds and versions")
    recipes = space.section("train")
    if recipes:
        yield _recipes(recipes)
    yield Text("The space that was searched:")
    yield Code("\n".join(f"{name}: {json.dumps(value)}" for name, value in space.section("space").items()))


def _facts(study: StudyTable) -> Iterator[tuple[str, Json]]:
    about = study.about
    yield from ((f"data.{name}", value) for name, value in about.space.section("data").items())
    yield "fingerprint of the data", about.data.fingerprint
    yield "precision", about.precision or "not recorded"
    for section, name in (
        ("teacher", "seed"),
        ("search", "seed"),
        ("search", "sampler"),
        ("distill", "seed"),
    ):
        if name in about.space.section(section):
            yield f"{section}.{name}", about.space.section(section)[name]
    seeds = sorted({row.student_seed for row in study.rows if row.kind == "confirm"})
    yield "seeds of confirmation", ", ".join(map(str, seeds)) or "none"
    yield "study created", about.created_at or "not recorded"
    versions = (f"{name} {version}" for name, version in about.versions.items())
    yield "versions", ", ".join(versions) or "not recorded"


def _recipes(recipes: Mapping[str, Mapping[str, Json]]) -> Table:
    names = list(recipes)
    fields = list(dict.fromkeys(chain.from_iterable(recipes.values())))
    rows = tuple((field, *(_number(recipes[name].get(field)) for name in names)) for field in fields)
    return Table("Recipes", ("", *names), (False, *(True for _ in names)), rows, ())
