"""The distribution of test files over two processes: whole files, all that start Ray in one process."""

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

STARTS_RAY = re.compile(r"\bray_session\b|\bpytest\.mark\.ray\b")


class Shares(LoadFileScheduling):  # type: ignore[misc] # it has no types
    """Hands tests out by file, so that what a file's tests share is made once, and those on Ray as if of one file.

    This process has not collected the tests and knows their names alone; what a file uses stands in it.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "on Ray" if starts_ray(self.config.rootpath / file) else file


def longest_first(items: list[pytest.Item]) -> None:
    """Put first the files on Ray and then those with a slow test, so that no process has a long one left at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not starts_ray(item.path), item.path not in slow))


@cache
def starts_ray(file: Path) -> bool:
    """Return whether a file's tests start Ray, of which one at a time is enough for a machine."""
    return STARTS_RAY.search(file.read_text(encoding="utf-8")) is not None
