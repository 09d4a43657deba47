"""What is said at the end of a run: the ranking, the best configuration, where everything lies, what to do next."""

from pdsearch.cli.console import print_lines
from pdsearch.cli.tally import Tally
from pdsearch.search.study import Study
from pdsearch.space import Space

__all__ = ["closing_words"]


def closing_words(study: Study, space: Space, tally: Tally) -> None:
    """Print the end of a run."""
    print_lines([f"study {space.study}: {study.folder}"])
