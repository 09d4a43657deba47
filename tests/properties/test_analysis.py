"""What holds for every study: records in any order rank alike, all forms say the same, no claim is beyond chance."""

import csv
import io
import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pdsearch.analysis.crossed import holm
from pdsearch.analysis.forms import as_csv, as_json, as_markdown
from pdsearch.analysis.ranked import QUESTIONS
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.report import build_report
from pdsearch.analysis.tables import as_table, show_gain
from pdsearch.objectives import VAL_ACCURACY, front
from tests.analysis.synthetic_studies import confirmed, record, study

METHODS = ("magnitude", "taylor", "snip", None, "alone")
accuracies = st.integers(0, 1000).map(lambda n: n / 1000)
students = st.dictionaries(st.sampled_from(METHODS), st.lists(accuracies, min_size=1, max_size=4), max_size=5)


def _records(values: dict[str | None, list[float]]) -> list[dict[str, Any]]:
    found = [item for method, accuracy in values.items() for item in confirmed(method, accuracy)]
    trials = [record("fisher", a, kind="search", number=n) for n, (a, *_) in enumerate(values.values())]
    return [*found, *trials]


@settings(max_examples=40)
@given(values=students, data=st.data())
def test_order_of_records_does_not_matter(values: dict[str | None, list[float]], data: st.DataObject) -> None:
    records = _records(values)
    assert rank_teachers(study(data.draw(st.permutations(records)))) == rank_teachers(study(records))


@settings(max_examples=40)
@given(values=st.lists(accuracies.filter(lambda a: a >= 0.1), min_size=1, max_size=5), worse=st.data())
def test_a_dominated_teacher_never_stands_above(values: list[float], worse: st.DataObject) -> None:
    steps = worse.draw(st.lists(st.integers(1, 100), min_size=len(values), max_size=len(values)))
    beaten = [value - step / 1000 for value, step in zip(values, steps, strict=True)]
    names = worse.draw(st.permutations(["magnitude", "taylor"]))
    rows = rank_teachers(study([*confirmed(names[0], beaten), *confirmed(names[1], values)])).rows
    assert [row.best.prune_method for row in rows] == [names[1], names[0]]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_front_is_brute_forces(points: list[tuple[int, int, int]]) -> None:
    def dominates(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        at_least = a[0] >= b[0] and a[1] <= b[1] and a[2] >= b[2]
        return at_least and a != b

    expected = [n for n, point in enumerate(points) if not any(dominates(other, point) for other in points)]
    assert front(points, ("maximize", "minimize", "maximize")) == expected


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_monotone_and_never_smaller(values: list[float]) -> None:
    adjusted = holm(np.array(values)).tolist()
    assert all(a >= p for a, p in zip(adjusted, values, strict=True))
    assert all(a <= 1 for a in adjusted)
    order = sorted(range(len(values)), key=lambda n: values[n])
    assert [adjusted[n] for n in order] == sorted(adjusted)


@st.composite
def studies(draw: st.DrawFn) -> Any:
    """A study with ties, unequal and missing seeds, several teachers or none, constraints, and failures."""
    records = []
    by_teacher = draw(st.sampled_from([1, 2, 3]))
    jitter = st.sampled_from(draw(st.sampled_from([(0,), (-3, 0, 2), tuple(range(-40, 41))])))
    base = st.sampled_from([0.5, 0.55, 0.7])
    seeds = st.just({0, 1, 2, 3, 4}) | st.sets(st.integers(0, 4), max_size=5)
    for method in draw(st.lists(st.sampled_from([*METHODS, "train_on"]), unique=True)):
        val, test, size = (
            draw(base),
            draw(base | st.none()),
            draw(st.sampled_from([9_000_000] * 3 + [3_000_000])),
        )
        for teacher in range(by_teacher if method != "alone" else 1):
            for seed in draw(seeds):
                state = draw(st.sampled_from(["complete"] * 9 + ["failed"]))
                reached = None if test is None else test + draw(jitter) / 1000
                more: Any = {
                    "teacher_seed": teacher,
                    "seed": seed,
                    "test": reached,
                    "state": state,
                    "params": size,
                }
                item = record(method, val + draw(jitter) / 1000, **more)
                if method == "train_on":
                    item["teacher"]["sparsity"] = 0.0
                records.append(item)
    objective = draw(st.sampled_from([(VAL_ACCURACY, "maximize"), ("student.params", "minimize")]))
    space = {
        "objectives": [dict(zip(("metric", "goal"), objective, strict=True))],
        "constraints": draw(st.sampled_from([[], ["student.val_accuracy >= 0.6"]])),
    }
    return study(records, space=space)


@settings(max_examples=60)
@given(found=studies())
def test_all_forms_say_the_same_and_nothing_beyond_chance(found: Any) -> None:
    ranking, page = rank_teachers(found), build_report(found)
    whole = json.loads(as_json(ranking))
    table, flat = as_table(ranking), [*csv.DictReader(io.StringIO(as_csv(ranking)))]
    text = as_markdown(ranking)
    columns = dict(zip(table.columns, zip(*table.rows, strict=True), strict=False)) if table.rows else {}
    for place, (row, told, line) in enumerate(zip(ranking.rows, whole["rows"], flat, strict=True)):
        assert (told["label"], told["rank"]) == (line["label"], int(line["rank"]) if line["rank"] else None)
        assert columns["teacher"][place] == row.label
        assert columns["vs unpruned, same"][place] == show_gain(row.gain("unpruned_same"))
        assert columns["vs alone"][place] == show_gain(row.gain("alone"))
        for metric in ("val", "test"):
            for question in QUESTIONS:
                gain = told[f"gains_{metric}"].get(question)
                name = f"gain_{metric}_{question}"
                assert line[f"{name}_mean"] == (str(gain["estimate"]["mean"]) if gain else "")
                assert line[f"{name}_mark"] == (gain["mark"] if gain else "")
                if gain and gain["mark"]:
                    low, high = gain["estimate"]["low"], gain["estimate"]["high"]
                    assert gain["p_holm"] < 0.05, "a mark is a claim after correction"
                    assert low > 0 or high < 0, "whose interval excludes no gain"
                if gain and gain["estimate"]["n"] == 1:
                    assert (gain["estimate"]["low"], gain["p"], gain["mark"]) == (None, None, "")
    assert [leader.sentence for leader in ranking.leaders] == [one["sentence"] for one in whole["leaders"]]
    for leader in ranking.leaders:
        first = next(row for row in ranking.rows if row.rank == 1 and row.student == leader.student)
        shown = first.gain("unpruned_same")
        assert leader.label == first.label
        assert leader.sentence in table.footer
        if leader.finding in ("gain", "loss"):
            assert shown is not None
            assert shown.mark, "the verdict claims nothing that the table does not"
            assert (shown.estimate.mean > 0) == (leader.finding == "gain")
        if leader.gain is not None and leader.gain.mark:
            assert leader.finding in ("gain", "loss")
    assert page.headline.good <= (ranking.leader is not None and ranking.leader.finding == "gain")
    assert (
        page.headline.sentence in {*ranking.footer, "No trial has ended."}
        or "have a mean" in page.headline.sentence
    )
    assert text.count("\n| ") == len(ranking.rows) + (2 * len({row.student for row in ranking.rows}) or 2)
