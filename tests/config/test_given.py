from pathlib import Path
from typing import Any

import pytest
import yaml

from pdsearch.config import load
from pdsearch.errors import ConfigError
from tests.config.documents import document, space
from tests.config.parts import CATALOG


@pytest.mark.parametrize(
    ("sections", "what", "where"),
    [
        ({"distill": {"alpha": 7}}, "7 is out of range", "distill.alpha"),
        ({"distill": {"margin": 1}}, "unknown key 'margin'", "distill.margin"),
        (
            {"prune": {"method": "taylor", "ratio": 0.5, "params": {"batches": 0.5}}},
            "a whole number, got 0.5",
            "prune.params.batches",
        ),
        (
            {"prune": {"method": "random", "ratio": 0.5, "params": {"batches": 2}}},
            "unknown key 'batches'",
            "prune.params.batches",
        ),
        ({"student": {"model": "convnet_s", "options": {"widht": 8}}}, "'widht'", "student.options.widht"),
        ({"student": {"model": "convnet_s", "options": {"widths": 8}}}, "a list", "student.options.widths"),
    ],
)
def test_a_chosen_part_judges_what_it_is_given(sections: dict[str, Any], what: str, where: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        space({}, **sections)
    assert caught.value.where == f"space key {where}"
    assert caught.value.hint


def test_values_take_the_type_of_their_parameter() -> None:
    loss = space({}, distill={"loss": "margin", "margin": 2}).resolve({}).distill
    assert repr(dict(loss.params)["margin"]) == "2.0"


def test_whoever_overrides_a_searched_field_by_its_plain_name_is_told_the_other(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document({"distill.temperature": [1, 4]}, search={"trials": 2})))
    with pytest.raises(ConfigError, match=r"--set distill\.temperature=2 and line \d+") as caught:
        load(path, ["distill.temperature=2"], catalog=CATALOG)
    assert caught.value.hint == "to fix what is searched: --set space.distill.temperature=VALUE"
