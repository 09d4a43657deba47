"""A study that goes on with a wider space: what finished counts, samplers learn from it, and nothing is lost."""

from pathlib import Path
from typing import Any

import pytest

from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study
from pdsearch.errors import ConfigError
from pdsearch.io.studies import Accept, description
from pdsearch.search.optuna_backend import rebuild
from pdsearch.search.preflight import opening
from pdsearch.search.study import open_study
from pdsearch.verify import check_invariants
from tests.search.scripted_trials import DOCUMENT, Watching, play, searching, space

WIDER = Accept(wider=True)
MORE: dict[str, Any] = {
    "space": {
        "prune.method": ["none", "magnitude", "taylor"],
        "prune.ratio": {"choices": [0.2, 0.36, 0.5], "when": {"prune.method": ["magnitude", "taylor"]}},
        "distill.temperature": {"low": 1, "high": 40, "log": True},
    },
    "search": searching(trials=14),
}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "check_trials", lambda *_: None)


def run(folder: Path, accept: Accept = Accept(), **sections: Any) -> Any:  # noqa: B008
    with open_study(space(folder, **sections), Watching(), accept=accept) as study:
        play(study.scheduler)
        return study.scheduler


def test_a_wider_space_goes_on_with_all_that_finished(tmp_path: Path) -> None:
    first = run(tmp_path)
    before = dict(first.records.finished)
    with pytest.raises(
        ConfigError, match=r"prune.method.choices.*-> \['none', 'magnitude', 'taylor'\]"
    ) as error:
        run(tmp_path, **MORE)
    assert "pdsearch extend" in str(error.value.hint)
    with open_study(space(tmp_path, **MORE), Watching(), accept=WIDER) as study:
        trials = study.scheduler.search.study.get_trials()
        assert study.scheduler.search.finished == 6
        assert {str(t.distributions["distill.temperature"]) for t in trials if t.params} == {
            "FloatDistribution(high=40.0, log=True, low=1.0, step=None)"
        }
        assert [t.values for t in trials] == [t.values for t in first.search.study.get_trials()]
    scheduler = run(tmp_path, **MORE)
    assert scheduler.search.finished == 14
    assert before.items() <= scheduler.records.finished.items()
    new = [r for name, r in scheduler.records.finished.items() if name not in before and r.kind == "search"]
    assert any(r.params["prune.method"] == "taylor" or r.params["distill.temperature"] > 20 for r in new)
    (change,) = description(tmp_path / "small").changes
    assert "space.distill.temperature.high: 20.0 -> 40.0" in change.lines
    assert any(row.confirmed for row in rank_teachers(read_study(tmp_path / "small")).rows)
    assert check_invariants(tmp_path / "small") == []
    with pytest.raises(ConfigError, match="wider, not narrower"):
        run(tmp_path)


def test_an_extension_that_is_cut_off_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = len(run(tmp_path).records.finished)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rebuild, "_retold", killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, WIDER, **MORE)
    with open_study(space(tmp_path, **MORE), Watching()) as study:
        assert study.scheduler.search.finished == 6
        assert len(study.scheduler.records.finished) == finished
    assert check_invariants(tmp_path / "small") == []


def test_a_space_that_was_searched_through_goes_on_with_a_new_choice(tmp_path: Path) -> None:
    few: dict[str, Any] = {"space": {"distill.temperature": [1.0, 4.0]}, "prune": {"method": "none"}}
    assert run(tmp_path, **few).search.exhausted
    scheduler = run(tmp_path, WIDER, **{**few, "space": {"distill.temperature": [1.0, 4.0, 8.0]}})
    assert scheduler.search.finished == 3


def test_a_value_that_moves_under_trials_so_far_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    moved = {
        **DOCUMENT["space"],
        "prune.ratio": {"choices": [0.2, 0.36, 0.5], "when": {"prune.method": ["magnitude"]}},
    }
    with pytest.raises(ConfigError, match="search-00000 would be another trial"):
        run(tmp_path, WIDER, space=moved, distill={"loss": "kd", "alpha": 0.7})
