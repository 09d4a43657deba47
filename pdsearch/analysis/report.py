"""The report of a study: one self-contained HTML page that needs no network."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from html import escape

from pdsearch.analysis.importance import Importances, importances
from pdsearch.analysis.pareto import Front, pareto_front
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import Row, StudyTable
from pdsearch.analysis.tables import Table, as_table, percent
from pdsearch.errors import ConfigError
from pdsearch.specs import Json

__all__ = ["as_html"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: 0 } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse; font-size: .85rem; width: 100% }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #888 } .n { text-align: right; font-variant-numeric: tabular-nums }
.note, figcaption { color: #555; font-size: .85rem } .wide { overflow-x: auto }
figure { margin: 1rem 0 }
.slices { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)) }
.slices figure { min-width: 0 }
"""


def as_html(study: StudyTable) -> str:
    """Return a study's report as one self-contained HTML page: ranking, figures, importances, cost.

    Args:
        study: See `read_study`.
    """
    ranking = rank_teachers(study)
    parts = (
        _head(study),
        _ranking(ranking, study),
        _front(study),
        _search(study),
        _parameters(study, importances(study.rows)),
        _best(ranking),
        _cost(study),
        _made_by(study),
    )
    body = "\n".join(line for part in parts for line in part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(study.name)} - pdsearch</title><style>{_STYLE}</style>"
        f"<script>{_library()}</script></head><body>\n{body}\n</body></html>\n"
    )


def _library() -> str:
    from plotly.offline import get_plotlyjs  # Imported here because it is megabytes that only a report needs.

    return str(get_plotlyjs())


def _picture(figure: object, caption: str) -> Iterator[str]:
    from plotly.io import to_html

    if figure is not None:
        drawn = to_html(
            figure, include_plotlyjs=False, full_html=False, config={"displaylogo": False, "responsive": True}
        )
        yield f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(table: Table) -> Iterator[str]:
    kinds = [' class="n"' if numeric else "" for numeric in table.numeric]
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f"<th{k}>{escape(name)}</th>" for k, name in zip(kinds, table.columns, strict=True))
    yield "</tr></thead><tbody>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td{k}>{escape(c)}</td>" for k, c in zip(kinds, row, strict=True)) + "</tr>"
    yield "</tbody></table></div>"
    yield '<ul class="note">' + "".join(f"<li>{escape(line)}</li>" for line in table.footer) + "</ul>"


def _head(study: StudyTable) -> Iterator[str]:
    kinds = Counter(row.kind for row in study.rows)
    states = Counter(row.state for row in study.rows if row.kind == "search")
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    yield f"<h1>{escape(study.name)}</h1>"
    yield f'<p class="note">{kinds["search"]} search trials ({escape(told or "none ended")}), '
    yield f"{kinds['baseline']} of baselines, {kinds['confirm']} confirmation students.</p>"


def _ranking(ranking: Ranking, study: StudyTable) -> Iterator[str]:
    from pdsearch.analysis.figures.results import intervals

    yield "<h2>Teachers, by their students</h2>"
    yield from _table(as_table(ranking, detail=True))
    caption = "Each dot is a student with seeds of its own; diamonds are means with 95 % intervals."
    yield from _picture(intervals(ranking, study.rows), caption)


def _front(study: StudyTable) -> Iterator[str]:
    from pdsearch.analysis.figures.results import front_figure

    try:
        front: Front = pareto_front(study)
    except ConfigError:  # With one objective there is no front.
        return
    yield "<h2>Trials that none beats in all objectives</h2>"
    yield from _picture(
        front_figure(front, study.rows), "The first two objectives; search trials, unconfirmed."
    )


def _search(study: StudyTable) -> Iterator[str]:
    from pdsearch.analysis.figures.progress import by_sparsity, history

    yield "<h2>The search</h2>"
    hollow = "Hollow dots were stopped early: their accuracy is that of fewer epochs. Search trials are no estimates."
    yield from _picture(history(study.rows), hollow)
    yield from _picture(by_sparsity(study.rows), hollow)


def _parameters(study: StudyTable, found: Importances) -> Iterator[str]:
    from pdsearch.analysis.figures.progress import by_parameter
    from pdsearch.analysis.figures.results import importance_figure

    yield "<h2>What mattered</h2>"
    if found.reason:
        yield f'<p class="note">The trials cannot tell what mattered most: {escape(found.reason)}.</p>'
    yield from _picture(
        importance_figure(found),
        f"From {found.trials} complete search trials: what shuffling a parameter takes from a random forest's fit to "
        f"trials it has not seen (R² {found.r2 or 0.0:.2f}). It tells what mattered among those trials, and no cause.",
    )
    yield '<div class="slices">'
    for name, figure in by_parameter(study.rows):
        yield from _picture(figure, name)
    yield "</div>"


def _best(ranking: Ranking) -> Iterator[str]:
    for row in ranking.top(1):
        yield "<h2>The best configuration</h2>"
        yield f"<p>{escape(row.label)}, {'confirmed' if row.confirmed else 'unconfirmed'}. "
        yield "<code>pdsearch export</code> writes it as a space file that runs again as it stands.</p>"
        yield from _pairs(_configuration(row.best))


def _configuration(best: Row) -> dict[str, Json]:
    spec = json.loads(best.spec)
    pruned: dict[str, Json] = {"pruning": "none"}
    if best.prune_method is not None:
        pruned = {
            "pruning": best.prune_method,
            "sparsity achieved": f"{percent(best.teacher_sparsity)} % in {best.prune_rounds} round(s)",
            "recovery": best.prune_recovery,
        }
    loss = {f"{best.loss}, {name}": value for name, value in spec["distill"]["params"]}
    return {"teacher": best.teacher_model, **pruned, "student": best.student_model, "loss": best.loss, **loss}


def _pairs(values: Mapping[str, Json]) -> Iterator[str]:
    yield "<table><tbody>"
    for name, value in values.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>"
    yield "</tbody></table>"


def _cost(study: StudyTable) -> Iterator[str]:
    rows = study.rows
    yield "<h2>What its trials cost</h2>"
    yield '<p class="note">Dense teachers are trained before the search and are not in these sums.</p>'
    yield from _pairs(
        {
            "epochs of recovery after pruning": sum(row.epochs_prune for row in rows),
            "epochs of students": sum(row.epochs_distill for row in rows),
            "artifacts built": sum(row.artifacts_built for row in rows),
            "artifacts reused": sum(row.artifacts_hit for row in rows),
            "hours of trials, added up": round(sum(row.seconds for row in rows) / 3600, 3),
            "machines": ", ".join(sorted({f"{row.host} ({row.device})" for row in rows if row.host})),
        }
    )


def _made_by(study: StudyTable) -> Iterator[str]:
    versions = study.about.get("versions")
    yield "<h2>Made with</h2>"
    yield from _pairs(dict(versions) if isinstance(versions, dict) else {"versions": "not recorded"})
