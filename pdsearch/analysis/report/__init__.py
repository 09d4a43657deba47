"""The report of a study, or of several side by side: one HTML page, Markdown, figures for a paper."""

from pdsearch.analysis.report.comparison import compare
from pdsearch.analysis.report.content import Page, build_report
from pdsearch.analysis.report.html import as_html
from pdsearch.analysis.report.markdown import report_as_markdown, write_figures
