"""The sentences below a ranking say what a reader needs, and only what is so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pdsearch.analysis.footnotes import nearest_trial, shortfall
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import StudyTable
from pdsearch.io.record_files import BrokenRecord
from tests.analysis import synthetic_studies
from tests.analysis.synthetic_studies import confirmed, record, study


def _text(records: list[dict[str, Any]]) -> str:
    return "\n".join(rank_teachers(study(records)).footer)


def test_a_whole_study_has_nothing_to_excuse() -> None:
    records = [
        item
        for teacher_seed in range(3)
        for method, base, step in (("magnitude", 0.7, 0.013), (None, 0.6, 0.011))
        for item in confirmed(
            method,
            [base, base + step * (1 + teacher_seed)],
            teacher_seed=teacher_seed,
            test=-step * teacher_seed,
        )
    ]
    text = _text([*records, *confirmed("alone", [0.5, 0.517], test=0.0)])
    assert "3 teacher seeds" in text
    for excuse in (
        "about these teachers",
        "no interval",
        "unconfirmed",
        "different numbers",
        "failed",
        "lacks",
    ):
        assert excuse not in text


def test_what_ended_badly_is_counted() -> None:
    bad = [
        record(method, 0.1, kind="search", number=n, state=state)
        for n, (method, state) in enumerate(
            [("snip", "failed"), ("synflow", "infeasible"), ("snip", "failed")]
        )
    ]
    text = _text([*confirmed("magnitude", [0.7, 0.8]), *bad])
    assert "1 trial failed." in text, "it was tried twice"
    assert "1 trial broke a constraint." in text
    mended = _text([*confirmed("magnitude", [0.7, 0.8]), *bad, record("snip", 0.5, kind="search", number=3)])
    assert "failed" not in mended, "tried again since, and made good"
    good = record("snip", 0.5, kind="search", number=3)
    good["spec"]["student"]["code"] = good["key"] = "e" * 64
    assert "failed" not in _text([*confirmed("magnitude", [0.7, 0.8]), *bad, good]), "by mended code"


def test_files_that_are_no_records_are_named(tmp_path: Path) -> None:
    broken = (BrokenRecord(tmp_path / "torn.finished.json", "torn"),)
    text = "\n".join(rank_teachers(replace(study([]), broken=broken)).footer)
    assert "1 file is no record and was left out: torn.finished.json: torn." in text


def test_one_configuration_that_was_tested_is_no_best_of_a_search() -> None:
    text = _text([record("magnitude", 0.7, kind="search", test=0.69)])
    assert "One configuration, trained and tested once" in text
    assert "the best of a search" not in text


def test_teachers_that_no_trial_had_are_named() -> None:
    space = {
        "prune.method": {"choices": ["none", "magnitude", "snip"]},
        "prune.ratio": {"choices": [0.36, 0.59], "when": {"prune.method": ["magnitude", "snip"]}},
        "distill.alpha": {"low": 0.1, "high": 1.0},
    }
    points = [("none", None), ("magnitude", 0.36), ("magnitude", 0.59), ("snip", 0.59)]
    records = []
    for number, (method, ratio) in enumerate(points):
        made = record(None if method == "none" else method, 0.7, kind="search", number=number)
        ratios = {} if ratio is None else {"prune.ratio": ratio}
        records.append({**made, "params": {"prune.method": method, "distill.alpha": 0.5, **ratios}})
    found = rank_teachers(study(records, space={"space": space}))
    assert found.never_tried == ("snip 0.36",)
    assert "Never tried: snip 0.36." in found.footer
    endless = {**space, "prune.ratio": {"low": 0.1, "high": 0.9}}
    assert rank_teachers(study(records, space={"space": endless})).never_tried == ()


def test_accuracy_at_chance_is_said() -> None:
    """Of 100 validation images, up to 9.8 more than the commonest class has are chance."""
    for best, said in ((0.5, True), (0.59, True), (0.61, False)):
        records = [record("magnitude", value, kind="search", number=i) for i, value in enumerate((0.4, best))]
        made = study(records, data={"fingerprint": "", "commonest": {"val": [0.5, 100]}})
        assert ("No student is better than chance" in "\n".join(rank_teachers(made).footer)) is said


LIMITED = {"objectives": [], "constraints": ["student.val_accuracy >= 0.9"]}


def searched_trials(*accuracies: float, **more: Any) -> list[dict[str, Any]]:
    return [
        synthetic_studies.record("magnitude", a, kind="search", number=n, **more)
        for n, a in enumerate(accuracies)
    ]


def limited(*accuracies: float, **more: Any) -> StudyTable:
    return synthetic_studies.study(searched_trials(*accuracies, **more), space=LIMITED)


def test_the_nearest_trial_and_by_how_much_it_breaks_which_constraint_are_named() -> None:
    missed = nearest_trial(limited(0.3, 0.42, 0.1))
    assert missed == (
        "no trial of 3 keeps every constraint: the nearest, search-00001, has"
        " student.val_accuracy = 0.42, not >= 0.9 (0.48 off)"
    )
    assert f"{missed[0].upper()}{missed[1:]}." in rank_teachers(limited(0.3, 0.42, 0.1)).footer


def test_nothing_is_said_where_a_trial_keeps_them_or_none_has_ended() -> None:
    assert nearest_trial(limited(0.3, 0.95)) is None
    assert nearest_trial(limited(0.3, state="failed")) is None
    assert nearest_trial(limited()) is None


def test_a_trial_that_was_stopped_early_is_further_off_than_a_whole_one() -> None:
    whole, early = limited(0.3), limited(0.1, 0.5, state="stopped", epochs=2)
    both = replace(whole, rows=(*whole.rows, early.rows[1]))
    assert "the nearest, search-00000" in str(nearest_trial(both))


def test_confirmed_students_whose_mean_breaks_a_constraint_are_nothing_to_export() -> None:
    good = searched_trials(0.95)
    found = synthetic_studies.study(
        [*good, *synthetic_studies.confirmed("magnitude", [0.85, 0.87])], space=LIMITED
    )
    ranking = rank_teachers(found)
    (line,) = ranking.rows
    assert (line.rank, line.broken) == (None, "student.val_accuracy = 0.86, not >= 0.9")
    assert shortfall(found, ranking) == (
        f"no confirmed teacher's students keep every constraint: those of {line.label} have a mean {line.broken}"
    )
    assert any("has no rank and is not exported" in sentence for sentence in ranking.footer)
    assert shortfall(limited(0.95), rank_teachers(limited(0.95))) is None
