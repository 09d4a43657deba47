"""A folder of records becomes rows, wherever it lies; what is no record is told; the schema is documented."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.parquet

from pdsearch.analysis.forms import (
    EPOCH_COLUMNS,
    as_arrow,
    epochs_as_arrow,
    row_columns,
    write_parquet,
)
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.study_table import read_study, setting_of
from pdsearch.records.trial_record import FORMAT
from tests.analysis.synthetic_studies import confirmed, record, row_of, study, write_study

RECORDS = [
    *confirmed("magnitude", [0.7, 0.8]),
    record("alone", 0.6),
    record(None, 0.5, kind="search", number=3),
]


SEARCHED = {
    "prune.method": {"choices": ["none", "magnitude"]},
    "prune.ratio": {"choices": [0.36, 0.59], "when": {"prune.method": ["magnitude"]}},
    "distill.temperature": {"low": 1, "high": 20.0, "log": True},
    "train.distill.epochs": {"low": 1, "high": 40},
    "train.distill.milestones": {"choices": [[1], [1, 2]]},
}


def schema_markdown() -> str:
    """Return the tables of docs/results_schema.md."""
    head = ["| column | type | null | meaning |", "| --- | --- | --- | --- |"]
    epochs = [(name, *rest) for name, rest in EPOCH_COLUMNS.items()]
    tables = [
        "\n".join(
            [
                *head,
                *(f"| `{n}` | {kind} | {'yes' if null else 'no'} | {doc} |" for n, kind, null, doc in found),
            ]
        )
        for found in (row_columns(), epochs)
    ]
    return "\n---\n".join(tables)


def test_rows_hold_what_records_hold(tmp_path: Path) -> None:
    write_study(tmp_path, RECORDS)
    study = read_study(tmp_path)
    assert (study.name, len(study.rows), study.broken) == ("made-up", 4, ())
    row = next(row for row in study.rows if row.kind == "search")
    assert (row.number, row.val_accuracy, row.prune_method, row.teacher_model) == (3, 0.5, None, "vgg19_bn")
    assert row.student_options == '{"width":2}'
    assert (row.epochs, row.epochs_planned, row.seconds, row.artifacts_hit) == (20, 20, 2.5, 1)
    assert (row.epochs_prune, row.epochs_distill, row.epochs_teacher) == (3, 20, 0)


def test_a_copied_folder_tells_the_same(tmp_path: Path) -> None:
    write_study(tmp_path / "there", RECORDS)
    shutil.copytree(tmp_path / "there", tmp_path / "here")
    assert read_study(tmp_path / "here") == read_study(tmp_path / "there")


def test_what_is_no_record_is_told(tmp_path: Path) -> None:
    write_study(tmp_path, RECORDS)
    trials = tmp_path / "trials"
    (trials / "torn.finished.json").write_text('{"format": 1, "id"')
    (trials / "new.finished.json").write_text(json.dumps({"format": FORMAT + 1, "id": "new"}))
    (trials / "poor.finished.json").write_text('{"format": 1, "id": "poor"}')
    study = read_study(tmp_path)
    assert len(study.rows) == 4
    assert {broken.path.name for broken in study.broken} == {
        f"{n}.finished.json" for n in ("torn", "new", "poor")
    }
    reasons = " ".join(broken.reason for broken in study.broken)
    assert f"format {FORMAT + 1} was written by a newer pdsearch" in reasons
    assert "3 files are no records" in "\n".join(rank_teachers(study).footer)


def test_setting_ignores_seeds_and_places_only() -> None:
    def setting(**changes: float) -> str:
        from tests.analysis.synthetic_studies import study

        return study([record("magnitude", 0.5, **changes)]).rows[0].setting  # type: ignore[arg-type]

    assert setting() == setting(seed=3) == setting(teacher_seed=3)
    assert setting() != setting(temperature=5.0)


def test_parquet_holds_every_row(tmp_path: Path) -> None:
    write_study(tmp_path, RECORDS)
    found = read_study(tmp_path)
    for _ in range(2):
        write_parquet(as_arrow(found), tmp_path / "results.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet")
    assert table.to_pylist() == [row.cells() for row in found.rows]
    assert table.schema.names == [name for name, *_ in row_columns()]


def test_parquet_of_nothing_has_the_columns(tmp_path: Path) -> None:
    write_parquet(as_arrow(study([])), tmp_path / "results.parquet")
    assert len(pyarrow.parquet.read_table(tmp_path / "results.parquet").schema) == len(row_columns())


def test_searched_values_are_typed_columns_of_confirmations_too(tmp_path: Path) -> None:
    records = [*confirmed("magnitude", [0.7], temperature=3.5), record("alone", 0.6), record(None, 0.5)]
    for item in records:
        item["params"] = {}
    write_parquet(as_arrow(study(records, space={"space": SEARCHED})), tmp_path / "results.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet").select(list(SEARCHED))
    assert [str(kind) for kind in table.schema.types] == ["string", "double", "double", "int64", "string"]
    pruned, alone, unpruned = (list(row.values()) for row in table.to_pylist())
    assert pruned == ["magnitude", 0.59, 3.5, 20, "[]"]
    assert alone == ["none", None, None, 20, "[]"]
    assert unpruned == ["none", None, 4.0, 20, "[]"]


def test_the_table_of_epochs_has_every_report(tmp_path: Path) -> None:
    write_parquet(epochs_as_arrow(study(RECORDS)), tmp_path / "epochs.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "epochs.parquet")
    assert table.schema.names == list(EPOCH_COLUMNS)
    assert table.filter(pyarrow.compute.field("kind") == "search").to_pylist() == [
        {"id": "search-00003", "kind": "search", "epoch": 20, "epochs": 20, "val_accuracy": 0.5, "loss": 1.0}
    ]


def test_the_documented_schema_is_the_real_one() -> None:
    document = Path(__file__).parents[2] / "docs" / "results_schema.md"
    for table in schema_markdown().split("\n---\n"):
        assert table in document.read_text(encoding="utf-8")


def test_a_trial_that_failed_early_has_no_values() -> None:
    item = record("magnitude", 0.5, state="failed")
    item |= {
        "reports": [],
        "values": {},
        "teacher": None,
        "student": {"artifact": None},
        "cost": {},
        "artifacts": [],
    }
    row = row_of(item)
    assert (row.val_accuracy, row.epochs, row.student_params, row.seconds, row.state) == (
        None,
        0,
        None,
        0.0,
        "failed",
    )


def test_a_value_stands_in_for_the_last_report_only_where_there_is_one() -> None:
    item = record("magnitude", 0.5)
    item["values"]["student.val_accuracy"] = 0.6
    assert row_of(item).val_accuracy == 0.6
    del item["values"]["student.val_accuracy"]
    assert row_of(item).val_accuracy == 0.5


def test_seeds_trained_together_later_are_of_the_same_configuration() -> None:
    first, later = record("magnitude", 0.5), record("magnitude", 0.5)
    first["spec"]["distill"] |= {"seed": 1, "replicas": [1, 2]}
    later["spec"]["distill"] |= {"seed": 3, "replicas": []}
    old = record("magnitude", 0.5)
    old["spec"]["distill"].pop("replicas", None)
    assert len({row_of(item).setting for item in (first, later, old)}) == 1


def test_a_field_at_its_neutral_value_is_no_part_of_a_setting() -> None:
    spec: dict[str, Any] = {
        "data": {"source": "digits", "augment": "none"},
        "distill": {"loss": "kd", "seed": 1},
    }
    later = {"data": {**spec["data"], "test_fraction": 0.0}, "distill": {**spec["distill"], "replicas": []}}
    assert setting_of(later) == setting_of(spec)
    cut = {**later, "data": {**spec["data"], "test_fraction": 0.2}}
    assert setting_of(cut) != setting_of(spec)
