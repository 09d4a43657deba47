"""The images of a study, decoded once when it opens, before anything is trained; and what is to be said of them.

A damaged image in the middle of a set would otherwise fail one trial after another. What is decoded is the artifact
that all workers map, so that looking costs nothing twice.
"""

import time
from collections.abc import Callable

from pdsearch.data import Dataset
from pdsearch.data.composition import lacking
from pdsearch.specs import DataSpec
from pdsearch.stages.data import dataset
from pdsearch.stages.obtain import drain
from pdsearch.stages.site import Site

__all__ = ["prepare_images", "say_notes"]

SILENT_S, EVERY_S = 3.0, 10.0
"""A set that is decoded sooner is not spoken of; a larger one as often."""


def prepare_images(spec: DataSpec, site: Site, say: Callable[[str], None]) -> Dataset:
    """Decode and split a set, where nobody has; say how far it is. Return it.

    Args:
        spec: Which images, with their fingerprint.
        site: Where they are stored.
        say: Tells a person.

    Raises:
        DataError: The set is missing, or an image cannot be decoded; the message names the file, and the row in it.
    """
    due = time.monotonic() + SILENT_S

    def tell(done: int, total: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + EVERY_S
            say(f"decoding {spec.source}: {done:,} of {total:,} images")

    return drain(dataset(spec, site, tell))


def say_notes(data: Dataset, say: Callable[[str], None]) -> None:
    """Say how a set was read where that can surprise, and which classes lack images; a line each.

    Args:
        data: The set.
        say: Tells a person.
    """
    for note in (*data.notes, *lacking(data)):
        say(f"data: {note}")
