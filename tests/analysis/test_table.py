"""A folder of records becomes rows, wherever it lies; what is no record is told; the schema is documented."""

import dataclasses
import json
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest

from pdsearch.analysis import rank_teachers, read_study, write_parquet
from pdsearch.analysis.study_table import columns
from pdsearch.errors import ConfigError, StorageError
from pdsearch.trial_record import FORMAT
from tests.analysis.synthetic_studies import confirmed, record, write_study

RECORDS = [
    *confirmed("magnitude", [0.7, 0.8]),
    record("alone", 0.6),
    record(None, 0.5, kind="search", number=3),
]


def schema_markdown() -> str:
    """Return docs/results_schema.md."""
    lines = [
        "# The columns of results.parquet",
        "",
        "One row per finished trial of a study, as `pdsearch.analysis.read_study(folder).rows` in Python.",
        "Read it with anything: `pandas.read_parquet`, `polars.read_parquet`, DuckDB.",
        "",
        "| column | type | null | meaning |",
        "| --- | --- | --- | --- |",
        *(
            f"| `{name}` | {kind} | {'yes' if null else 'no'} | {doc} |"
            for name, kind, null, doc in columns()
        ),
    ]
    return "\n".join(lines) + "\n"


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
    assert "3 file(s) are no records" in "\n".join(rank_teachers(study).footer)


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path}: there is no study here"):
        read_study(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_torn_description_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(StorageError, match=str(tmp_path)):
        read_study(tmp_path)


def test_setting_ignores_seeds_and_places_only() -> None:
    def setting(**changes: float) -> str:
        from tests.analysis.synthetic_studies import study

        return study([record("magnitude", 0.5, **changes)]).rows[0].setting  # type: ignore[arg-type]

    assert setting() == setting(seed=3) == setting(teacher_seed=3)
    assert setting() != setting(temperature=5.0)


def test_parquet_holds_every_row(tmp_path: Path) -> None:
    write_study(tmp_path, RECORDS)
    rows = read_study(tmp_path).rows
    for _ in range(2):
        write_parquet(rows, tmp_path / "results.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "results.parquet")
    assert table.to_pylist() == [dataclasses.asdict(row) for row in rows]
    assert table.schema.names == [name for name, *_ in columns()]


def test_parquet_of_nothing_has_the_columns(tmp_path: Path) -> None:
    write_parquet([], tmp_path / "results.parquet")
    assert len(pyarrow.parquet.read_table(tmp_path / "results.parquet").schema) == len(columns())


def test_the_documented_schema_is_the_real_one() -> None:
    document = Path(__file__).parents[2] / "docs" / "results_schema.md"
    assert document.read_text(encoding="utf-8") == schema_markdown()
