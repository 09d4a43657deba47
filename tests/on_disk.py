"""Conversion of a storage place to the local folder that it is."""

from pathlib import Path

from pdsearch.io import Place


def on_disk(place: Place) -> Path:
    """Return the place as a path."""
    assert isinstance(place, Path)
    return place
