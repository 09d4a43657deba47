"""What a study found, from its folder of records alone: rows, rankings, fronts."""

from pdsearch.analysis.cells import percent, show_estimate, show_gain
from pdsearch.analysis.forms import Table, as_csv, as_json, as_markdown, as_plain, as_table
from pdsearch.analysis.front_forms import front_as_csv, front_as_json, front_as_markdown, front_as_table
from pdsearch.analysis.pareto import Front, front, pareto_front
from pdsearch.analysis.ranked import QUESTIONS, Leader, Ranked, Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.row import Row
from pdsearch.analysis.shortfall import shortfall
from pdsearch.analysis.statistics import Estimate, Gain, holm, mean_interval, paired_gain
from pdsearch.analysis.table import Study, read_study, write_parquet

__all__ = [
    "QUESTIONS",
    "Estimate",
    "Front",
    "Gain",
    "Leader",
    "Ranked",
    "Ranking",
    "Row",
    "Study",
    "Table",
    "as_csv",
    "as_json",
    "as_markdown",
    "as_plain",
    "as_table",
    "front",
    "front_as_csv",
    "front_as_json",
    "front_as_markdown",
    "front_as_table",
    "holm",
    "mean_interval",
    "paired_gain",
    "pareto_front",
    "percent",
    "rank_teachers",
    "read_study",
    "shortfall",
    "show_estimate",
    "show_gain",
    "write_parquet",
]
