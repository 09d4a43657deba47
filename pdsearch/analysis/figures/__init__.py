"""Figures of a study as Vega-Lite specifications: for the report's page, and as SVG or PDF for a paper."""

from pdsearch.analysis.figures.results import gains_figure, result_figures
from pdsearch.analysis.figures.search import search_figures
from pdsearch.analysis.figures.style import LIGHT, Figure, compiled, drawn, library, trial_points
