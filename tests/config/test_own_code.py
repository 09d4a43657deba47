"""A document may name models, methods and losses of the user's own; what cannot be imported is said, with its line."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.config import Space, load, parse
from pdsearch.errors import ConfigError
from tests.config.documents import document
from tests.config.parts import CATALOG
from tests.own_code import Author


def parsed(searched: dict[str, Any] | None = None, **sections: Any) -> Space:
    return parse(document(searched or {}, **sections), catalog=CATALOG)


def test_they_stand_where_ours_do_with_their_options_and_parameters(author: Author) -> None:
    name = author.write()
    spec = parsed(
        teacher={"model": f"{name}:Shaped", "options": {"anything": 3}},
        student={"model": f"{name}:flat", "options": {"width": 6}},
        distill={"loss": f"{name}:squared", "weight": 2},
        search={"trials": 1},
    ).resolve({})
    assert (spec.teacher.model, spec.teacher.options) == (f"{name}:Shaped", (("anything", 3),))
    assert (spec.student.model, spec.student.options) == (f"{name}:flat", (("width", 6),))
    assert (spec.distill.loss, spec.distill.params) == (f"{name}:squared", (("weight", 2.0),))


def test_a_method_is_searched_beside_ours(author: Author) -> None:
    name = f"{author.write()}:sized"
    found = parsed(
        {
            "prune.method": ["none", "magnitude", name],
            "prune.ratio": {"choices": [0.36], "when": {"prune.method": ["magnitude", name]}},
            "prune.params.power": {"low": 0, "high": 2, "when": {"prune.method": [name]}},
        }
    )
    spec = found.resolve({"prune.method": name, "prune.ratio": 0.36, "prune.params.power": 2.0})
    assert spec.prune is not None
    assert (spec.prune.method, spec.prune.params) == (name, (("power", 2.0),))
    assert parse(found.to_json(), catalog=CATALOG) == found


def test_they_are_searched_beside_ours(author: Author) -> None:
    name = f"{author.write()}:squared"
    found = parsed(
        {
            "distill.loss": ["kd", name],
            "distill.weight": {"low": 0, "high": 10, "when": {"distill.loss": [name]}},
        }
    )
    spec = found.resolve({"distill.loss": name, "distill.weight": 3.0})
    assert (spec.distill.loss, spec.distill.params) == (name, (("weight", 3.0),))
    assert found.resolve({"distill.loss": "kd"}).distill.loss == "kd"
    assert parse(found.to_json(), catalog=CATALOG) == found


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"student": {"model": "X:flat", "options": {"wdith": 3}}}, r"student\.options\.wdith"),
        ({"student": {"model": "X:flot"}}, r"student\.model: the module X has no 'flot'"),
        ({"teacher": {"model": "X:blind"}}, r"teacher\.model: X:blind cannot build a model"),
        ({"distill": {"loss": "X:short"}}, r"distill\.loss: X:short is no loss"),
        ({"distill": {"loss": "X:squared", "weight": 11}}, r"distill\.weight"),
        ({"distill": {"loss": "X:squared", "wieght": 1}}, r"did you mean 'weight'"),
        (
            {"distill": {"loss": "nowhere:f"}},
            r"distill\.loss: cannot import nowhere: there is no such module",
        ),
        ({"prune": {"method": "X:short", "ratio": 0.5}}, r"prune\.method: X:short is no pruning method"),
        ({"prune": {"method": "X:sized", "ratio": 0.5, "params": {"pwoer": 1}}}, r"did you mean 'power'"),
        ({"data": {"source": "X:flat"}}, "unknown data source 'X:flat'"),
    ],
)
def test_what_does_not_fit_is_refused_once(author: Author, sections: dict[str, Any], said: str) -> None:
    name = author.write()
    named = {
        section: {key: v.replace("X", name) if isinstance(v, str) else v for key, v in given.items()}
        for section, given in sections.items()
    }
    with pytest.raises(ConfigError, match=said.replace("X", name)) as caught:
        parsed(**named)
    assert str(caught.value).count(name if "nowhere" not in said else "nowhere") <= 2


def test_nothing_is_imported_that_is_no_part_of_a_trial(author: Author) -> None:
    name = author.write("raise SystemExit('it ran')\n")
    with pytest.raises(ConfigError):
        parsed(data={"source": f"{name}:f"}, teacher={"model": "convnet_l", "options": {"a": f"{name}:f"}})


def test_the_line_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "data: {source: digits}\nteacher: {model: convnet_l}\nstudent:\n  model: nowhere:tiny\n"
        "train: {teacher: {epochs: 2, lr: 0.1}, distill: {epochs: 2, lr: 0.1}}\n"
    )
    with pytest.raises(ConfigError, match=r"mine\.yaml:4:10 key student\.model: cannot import nowhere"):
        load(path, catalog=CATALOG)
