"""docs/space.md names every key, and its examples load."""

import re
from typing import Any

import pytest
import yaml

from pdsearch.config import load, parse
from pdsearch.config.catalog import registered
from pdsearch.config.validators import METRICS
from pdsearch.config.yaml_reader import read_yaml
from pdsearch.config.yaml_tree import to_plain
from tests.config.documents import document
from tests.config.reference import PAGE, SECTIONS, written
from tests.config.test_schema import SHIPPED

TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)


def test_its_tables_are_up_to_date() -> None:
    assert written(TEXT) == TEXT, "run: python -m tests.config.reference"


@pytest.mark.parametrize("name", SECTIONS)
def test_it_names_every_key(name: str) -> None:
    assert f"<!-- table {name} -->" in TEXT
    for key in SECTIONS[name].model_fields:
        assert f"| `{key}` |" in TEXT


def test_it_names_every_metric() -> None:
    for metric in METRICS:
        assert f"`{metric}`" in TEXT


@pytest.mark.parametrize("example", EXAMPLES)
def test_its_examples_load(example: str) -> None:
    given: Any = to_plain(read_yaml(example.encode(), "example"))
    parse({**document(), **given}, catalog=registered())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_shipped_spaces_load_without_a_warning(path: Any) -> None:
    found = load(path)
    # A search of minutes has fewer trials than its teachers need.
    assert [text for text in found.warnings if not text.startswith("search.trials is")] == []
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert (found.resolve(found.defaults()).prune is None) == ("method" not in written.get("prune", {}))
    assert found.study == written["study"]
    assert f"`{path.name}`" in (path.parent / "README.md").read_text(encoding="utf-8")
