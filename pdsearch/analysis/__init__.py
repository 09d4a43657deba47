"""Analysis of a study from its folder of records alone: tables, rankings, Pareto fronts, reports."""

from pdsearch.analysis.footnotes import shortfall
from pdsearch.analysis.forms import (
    as_csv,
    as_json,
    as_markdown,
    as_plain,
    front_as_csv,
    front_as_json,
    front_as_markdown,
)
from pdsearch.analysis.pareto import Front, pareto_front
from pdsearch.analysis.ranked import QUESTIONS, Leader, Ranked, Ranking
from pdsearch.analysis.ranking import line_of, rank_teachers
from pdsearch.analysis.results import as_arrow, epochs_as_arrow, write_parquet
from pdsearch.analysis.statistics import Estimate, Gain
from pdsearch.analysis.study_table import Row, StudyTable, read_study
from pdsearch.analysis.tables import (
    Table,
    as_table,
    by_student,
    front_as_table,
    percent,
    show_estimate,
    show_gain,
)

__all__ = [
    "QUESTIONS",
    "Estimate",
    "Front",
    "Gain",
    "Leader",
    "Ranked",
    "Ranking",
    "Row",
    "StudyTable",
    "Table",
    "as_arrow",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_plain",
    "as_table",
    "by_student",
    "epochs_as_arrow",
    "front_as_csv",
    "front_as_json",
    "front_as_markdown",
    "front_as_table",
    "line_of",
    "pareto_front",
    "percent",
    "rank_teachers",
    "read_study",
    "shortfall",
    "show_estimate",
    "show_gain",
    "write_parquet",
]
