"""Damaged images are told by their places before anything is trained; what surprises in a set is said."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdsearch.data.registry import RawData, sources
from pdsearch.errors import DataError
from pdsearch.search.preflight import dry_run as images
from pdsearch.search.preflight.dry_run import prepare_images
from pdsearch.search.study import open_study
from pdsearch.specs import DataSpec
from tests.data.layouts import laid_out, pixels, png
from tests.pipeline.digits import SPEC, site
from tests.search.scripted_trials import Watching, play, space, whole


def damage(spec: DataSpec) -> str:
    """Cut an image in the middle of a training set short, its header left whole; return its place."""
    assert spec.root is not None
    root = Path(spec.root)
    if spec.source == "parquet":
        file = root / "train.parquet"
        table = pq.read_table(file)
        rows = table.column("img").to_pylist()
        rows[2]["bytes"] = rows[2]["bytes"][:60]
        pq.write_table(table.set_column(0, "img", pa.array(rows)), file)
        return f"{file}, row 2"
    path = sorted(path for path in (root / "train").rglob("*") if path.is_file())[1]
    path.write_bytes(path.read_bytes()[:-40])
    return str(path)


@pytest.mark.parametrize("source", ["parquet", "image_folder", "tiny_imagenet"])
def test_a_damaged_image_is_told_by_its_place_before_any_trial(tmp_path: Path, source: str) -> None:
    (tmp_path / "set").mkdir()
    spec = laid_out(source, tmp_path / "set")
    place = damage(spec)
    data = {"source": source, "root": str(spec.root), "val_fraction": 0.5}
    with (
        pytest.raises(DataError, match="the image cannot be decoded") as caught,
        open_study(space(tmp_path, data=data), Watching()),
    ):
        pytest.fail("the study opened")
    assert str(caught.value).startswith(place)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "small" / "study.json").exists()
    assert not list((tmp_path / "small").glob("trials/*"))
    assert not list((tmp_path / "artifacts").glob("data/*/*/manifest.json"))


def test_a_sound_set_is_decoded_once_and_not_at_all_when_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    digits = sources.get("digits")
    read = type(digits).read

    def counted(self: Any, spec: DataSpec) -> RawData:
        reads.append("read")
        return read(self, spec)

    monkeypatch.setattr(type(digits), "read", counted)
    for _ in range(2):
        with open_study(space(tmp_path), Watching()) as study:
            assert not study.agenda.idle()
    assert reads == ["read"]
    with open_study(space(tmp_path), Watching()) as study:
        play(study.agenda, whole)
    for file in (tmp_path / "artifacts").glob("data/*/*/*"):
        file.unlink()
    with open_study(space(tmp_path), Watching()) as study:
        assert study.agenda.idle()
    assert reads == ["read"]


def test_how_far_it_is_is_told_of_a_set_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "SILENT_S", -1.0)
    said: list[str] = []
    prepare_images(SPEC.data, site(tmp_path), said.append)
    assert said == ["decoding digits: 80 of 550 images"]
    said.clear()
    prepare_images(SPEC.data, site(tmp_path), said.append)
    assert said == []


class Listening(Watching):
    """Keeps what is said beside the jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_what_surprises_in_a_set_is_said_once_when_its_study_begins(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name, count in (("cat", 8), ("dog", 8), ("owl", 1)):
        for part, shown in (("train", count), ("test", count // 4)):
            (root / part / name).mkdir(parents=True)
            for number, image in enumerate(pixels(shown, 1, 8)):
                (root / part / name / f"{number}.png").write_bytes(png(image))
    (root / "train" / "readme.txt").write_text("not an image")
    data = {"source": "image_folder", "root": str(root), "val_fraction": 0.25}
    for notes in (
        [
            "data: 13 training, 4 validation, 4 test images of uint8 (1, 8, 8), 3 classes (cat, dog, owl)",
            "data: left out, for they are no images: train/readme.txt",
            "data: 1 of 3 classes has a single training image: owl",
            "data: 1 of 3 classes has no validation image: owl",
            "data: 1 of 3 classes has no test image: owl",
            "data: one validation image is 25 points of accuracy: smaller differences cannot show",
            "data: one test image is 25 points of accuracy: smaller differences cannot show",
            "data: 2 of 4 validation images are training images too: validation accuracy says less of new ones",
            "data: train.teacher.batch_size 128 is larger than the training split: an epoch is one step",
            "data: train.distill.batch_size 128 is larger than the training split: an epoch is one step",
        ],
        [],
    ):
        listening = Listening()
        with open_study(space(tmp_path, data=data), listening):
            assert [text for text in listening.said if text.startswith("data: ")] == notes
