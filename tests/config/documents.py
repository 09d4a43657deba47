"""Small space documents for the tests of the room."""

import copy
from typing import Any

from pdsearch.config import Space, parse

RECIPES: dict[str, Any] = {
    "teacher": {"epochs": 20, "lr": 0.1, "milestones": [10, 15]},
    "recover": {"epochs": 6, "lr": 0.05},
    "distill": {"epochs": 27, "lr": 0.1},
}
SEARCHED: dict[str, Any] = {
    "prune.method": ["none", "magnitude", "taylor"],
    "prune.ratio": {"choices": [0.36, 0.59], "when": {"prune.method": ["magnitude", "taylor"]}},
    "distill.temperature": {"low": 1, "high": 20, "log": True},
}


def document(searched: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    """Return a legal document; entries of `space` and whole sections may be replaced, None removes them."""
    found: dict[str, Any] = {
        "data": {"source": "digits"},
        "teacher": {"model": "convnet_l"},
        "student": {"model": "convnet_s"},
        "train": copy.deepcopy(RECIPES),
        "space": copy.deepcopy(SEARCHED) if searched is None else searched,
        "search": {"trials": 24},
    }
    found |= sections
    return {key: value for key, value in found.items() if value is not None}


def space(searched: dict[str, Any] | None = None, *overrides: str, **sections: Any) -> Space:
    """Return the space of `document`."""
    return parse(document(searched, **sections), overrides)
