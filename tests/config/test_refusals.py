"""Settings without effect or sense are refused, with their key."""

from dataclasses import replace
from typing import Any

import pytest

from pdsearch.config import parse
from pdsearch.errors import ConfigError
from pdsearch.user_code import Options
from tests.config.documents import document, space
from tests.config.parts import CATALOG

RUNGS = {"halving": {"min_epochs": 3}}


@pytest.mark.parametrize(
    ("sections", "key", "what"),
    [
        ({"student": {"model": "convnet_s", "init": "kept"}}, "student.init", "no weights of the teacher's"),
        (
            {"student": {"model": "from_teacher", "widths": [["a.weight", 3]]}},
            "student.widths",
            "determines the widths",
        ),
        (
            {"student": {"model": "convnet_s", "widths": [["a.weight"]]}},
            "student.widths[0]",
            "not a layer's width",
        ),
        ({"student": {"model": "convnet_s", "widths": [["a.weight", True]]}}, "student.widths[0]", "width: "),
        ({"student": {"model": "convnet_s", "widths": [["a.weight", 0]]}}, "student.widths[0]", "0 channels"),
        ({"student": {"model": "from_teacher", "start": {"method": 3}}}, "student.start", "not a pruning"),
        (
            {"search": {"trials": 2, "stop": RUNGS}, "objectives": [{"metric": "student.params"}]},
            "search.stop",
            "the same in every epoch",
        ),
        (
            {"search": {"trials": 2, "stop": {**RUNGS, "metric": "student.params"}}},
            "search.stop.metric",
            "the same in every epoch",
        ),
        ({"resources": {"accelerator": "A100"}}, "resources.accelerator", "no GPU is asked for"),
        ({"search": {"trials": 2, "gpu_hours": 1.0}}, "search.gpu_hours", "no GPU is asked for"),
        ({"data": 3}, "data", "expected a mapping"),
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(sections: dict[str, Any], key: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        space(**sections)
    assert f"key {key}" in str(caught.value)
    assert what in str(caught.value)


def test_more_parameters_than_a_search_can_tell_apart_are_refused() -> None:
    catalog = replace(CATALOG, models={name: Options(others=True) for name in CATALOG.models})
    options = {f"teacher.options.o{i}": [1, 2] for i in range(65)}
    with pytest.raises(ConfigError) as caught:
        parse(document(options), catalog=catalog)
    assert "key space: 65 searched parameters" in str(caught.value)


@pytest.mark.parametrize(
    ("searched", "sections", "decider"),
    [
        ({"student.init": ["fresh", "kept"]}, {}, "student.model"),
        ({"teacher.head": ["keep", "fresh"]}, {}, "teacher.checkpoint"),
        (
            {"prune.rewind_epoch": [0, 1]},
            {"prune": {"method": "magnitude", "at": "init", "ratio": 0.5}},
            "prune.at",
        ),
    ],
)
def test_what_is_searched_has_an_effect(
    searched: dict[str, Any], sections: dict[str, Any], decider: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        space(searched, **sections)
    assert f"has no effect where {decider} is" in str(caught.value)
