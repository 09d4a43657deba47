"""What is tried before a study begins: its images, its teachers, one trial of each kind."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from pdsearch.data.dataset.dataset import Dataset, Split
from pdsearch.data.registry import RawData, sources
from pdsearch.errors import ConfigError, DataError
from pdsearch.models import build, file_hash
from pdsearch.pipeline.rehearsal import Rehearsal, in_small
from pdsearch.search.preflight import dry_run as images
from pdsearch.search.preflight.dry_run import checkpoints, prepare_images, teacher_jobs
from pdsearch.search.study import open_as_driver
from pdsearch.specs import DataSpec, TrialSpec
from tests.data.layouts import laid_out, pixels, png
from tests.pipeline.digits import SPEC, site
from tests.search.scripted_trials import DESCRIBE, DOCUMENT, Watching, play, space, whole


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
        open_as_driver(space(tmp_path, data=data), Watching()),
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
        with open_as_driver(space(tmp_path), Watching()) as study:
            assert not study.scheduler.idle()
    assert reads == ["read"]
    with open_as_driver(space(tmp_path), Watching()) as study:
        play(study.scheduler, whole)
    for file in (tmp_path / "artifacts").glob("data/*/*/*"):
        file.unlink()
    with open_as_driver(space(tmp_path), Watching()) as study:
        assert study.scheduler.idle()
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
        watching = Watching()
        with open_as_driver(space(tmp_path, data=data), watching):
            assert [text for text in watching.said if text.startswith("data: ")] == notes


def weights(path: Path, seed: int = 0, classes: int = 10) -> str:
    """Save a network for the digits; return the file's name."""
    model = build("convnet_s", num_classes=classes, input_shape=(1, 8, 8), seed=seed)
    torch.save(model.state_dict(), path)
    return str(path)


def reading(folder: Path, file: str, **searched: Any) -> Any:
    """The small space with its teacher read from a file, and no recipe for it."""
    recipes = {name: DOCUMENT["train"][name] for name in ("recover", "distill")}
    teacher = {"model": "convnet_s"} | ({} if searched else {"checkpoint": file})
    return space(folder, teacher=teacher, train=recipes, space={**DOCUMENT["space"], **searched})


def test_every_teacher_that_choices_can_name_is_one_job(tmp_path: Path) -> None:
    searched = {**DOCUMENT["space"], "teacher.model": ["convnet_s", "convnet_m"], "teacher.seed": [0, 1]}
    searched["distill.seed"] = [0, 1, 2]
    found = list(teacher_jobs(space(tmp_path, teacher={}, space=searched), DESCRIBE))
    names = [(job.spec.teacher.model, job.spec.teacher.seed) for job in found]
    assert sorted(names) == [("convnet_m", 0), ("convnet_m", 1), ("convnet_s", 0), ("convnet_s", 1)]
    assert all(job.spec.prune is None and job.kind == "teacher" for job in found)


def test_what_only_some_teachers_have_is_in_the_middle_of_its_range(tmp_path: Path) -> None:
    momentum = {"low": 0.1, "high": 0.9, "when": {"train.teacher.optimizer": ["sgd"]}}
    searched = {"train.teacher.optimizer": ["adam", "sgd"], "train.teacher.momentum": momentum}
    found = list(teacher_jobs(space(tmp_path, prune={"method": "none"}, space=searched), DESCRIBE))
    recipes = [job.spec.teacher.recipe for job in found]
    assert [(recipe.optimizer, recipe.momentum) for recipe in recipes] == [("adam", 0.9), ("sgd", 0.5)]


def test_every_checkpoint_a_space_names_is_hashed(tmp_path: Path) -> None:
    one, other = weights(tmp_path / "a.pth"), weights(tmp_path / "b.pth", seed=1)
    fixed = reading(tmp_path, one)
    searched = reading(tmp_path, one, **{"teacher.checkpoint": [one, other]})
    assert checkpoints(fixed) == {one: file_hash(one)}
    assert checkpoints(searched) == {one: file_hash(one), other: file_hash(other)}
    assert checkpoints(space(tmp_path)) == {}


def test_a_checkpoint_that_does_not_fit_stops_the_study_before_it_begins(tmp_path: Path) -> None:
    small = reading(tmp_path, weights(tmp_path / "a.pth", classes=7))
    with (
        pytest.raises(ConfigError, match=r"classifier\.weight \(7, 16\), not \(10, 16\)"),
        open_as_driver(small, Watching()),
    ):
        pass
    assert not (tmp_path / "small" / "study.json").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.nan, r"classifier\.weight and classifier\.bias are not finite"),
        (3e38, r"answers 2 images with logits that are not finite"),
    ],
)
def test_a_checkpoint_that_is_no_number_stops_it_too(tmp_path: Path, value: float, message: str) -> None:
    path = weights(tmp_path / "a.pth")
    broken = {name: torch.full_like(t, value) for name, t in torch.load(path).items() if "classifier" in name}
    torch.save({**torch.load(path), **broken}, path)
    with pytest.raises(ConfigError, match=message), open_as_driver(reading(tmp_path, path), Watching()):
        pass
    assert not (tmp_path / "small" / "study.json").exists()


class Reader(nn.Module):
    """Reads the class of an image off its brightness, a tenth of it, and answers in an order of its own."""

    def __init__(self, order: list[int], scale: float = 1.0) -> None:
        super().__init__()
        self.order, self.scale = torch.tensor(order), scale

    def forward(self, images: Tensor) -> Tensor:
        return -(images.mean((1, 2, 3))[:, None] * self.scale - 10 * self.order).abs()


@pytest.mark.parametrize(
    ("order", "scale", "said"),
    [
        ([0, 1, 2, 3, 4], 1.0, "^$"),
        (
            [0, 2, 1, 3, 4],
            1.0,
            "60% of 50 images rightly, and 100% if .* '1' is its output 2, '2' is its output 1,",
        ),
        ([0, 1, 2, 3, 4], 0.0, "20% of 50 images rightly, as guessing would"),
    ],
)
def test_a_teacher_from_elsewhere_that_answers_for_other_classes_is_doubted(
    order: list[int], scale: float, said: str
) -> None:
    labels = torch.arange(5).repeat(10)
    split = Split((10 * labels)[:, None, None, None].expand(-1, 1, 8, 8).to(torch.uint8), labels)
    data = Dataset(split, split, split, tuple("01234"), torch.zeros(1), torch.ones(1))
    assert re.search(said, images.doubted(Reader(order, scale), data))


class Sorting(nn.Module):
    """A network whose features are in the order of their values, so that none of them has a channel of its own."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(channels, 8, 3), nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.conv(x).mean(dim=(2, 3)).sort(dim=1).values)
        return found


def sorting(*, num_classes: int, channels: int, image_size: int) -> nn.Module:  # noqa: ARG001
    return Sorting(channels, num_classes)


@pytest.mark.parametrize(("method", "refused"), [("filter_l1", True), ("magnitude", False)])
def test_a_teacher_whose_channels_cannot_go_stops_the_study_before_it_is_trained(
    tmp_path: Path, method: str, refused: bool
) -> None:
    searched = {**DOCUMENT["space"], "prune.method": ["none", method]}
    searched["prune.ratio"] = {"choices": [0.2, 0.36], "when": {"prune.method": [method]}}
    asked = space(tmp_path, teacher={"model": "tests.search.test_dry_run:sorting"}, space=searched)
    if not refused:
        with open_as_driver(asked, Watching()):
            return
    with (
        pytest.raises(
            ConfigError,
            match=r"no channel of this network can be removed: conv.weight .the operation sort is not known",
        ),
        open_as_driver(asked, Watching()),
    ):
        pass
    assert not (tmp_path / "small" / "study.json").exists()


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[TrialSpec]:
    """What is rehearsed, in small, instead of rehearsing it."""
    found: list[TrialSpec] = []
    monkeypatch.setattr(Rehearsal, "trial", lambda self, spec: found.append(in_small(spec, self.data)))
    return found


def opened(folder: Path, **sections: Any) -> None:
    with open_as_driver(space(folder, **sections), Watching()):
        pass


def test_what_makes_no_difference_is_tried_once(tmp_path: Path, tried: list[TrialSpec]) -> None:
    opened(tmp_path)
    assert [spec.prune and spec.prune.method for spec in tried] == [None, "magnitude"]


def test_every_pair_and_every_loss_is_tried(tmp_path: Path, tried: list[TrialSpec]) -> None:
    searched = {
        **DOCUMENT["space"],
        "student.model": ["convnet_s", "convnet_m"],
        "distill.loss": ["kd", "fitnet"],
        "distill.stage": {"choices": [1, 2], "when": {"distill.loss": ["fitnet"]}},
        "distill.temperature": {"low": 1, "high": 20, "when": {"distill.loss": ["kd"]}},
    }
    opened(tmp_path, student={}, distill={}, space=searched)
    found = [
        (s.student.model, s.distill.loss, dict(s.distill.params).get("stage"))
        for s in tried
        if s.prune is None
    ]
    expected = [("kd", None), ("fitnet", 1), ("fitnet", 2)]
    assert sorted(found, key=str) == sorted(
        ((m, *x) for m in ("convnet_s", "convnet_m") for x in expected), key=str
    )


def test_a_batch_of_one_image_is_tried_too(tmp_path: Path, tried: list[TrialSpec]) -> None:
    recover = {"choices": [1, 32], "when": {"prune.method": ["magnitude"]}}
    sizes = {"train.distill.batch_size": [1, 16, 64], "train.recover.batch_size": recover}
    searched = {**DOCUMENT["space"], **sizes}
    opened(tmp_path, space=searched)
    assert [spec.distill.recipe.batch_size for spec in tried if spec.prune is None] == [1, 2]
    assert [spec.prune.recipe.batch_size for spec in tried if spec.prune] == [1, 2]


def test_a_study_that_goes_on_is_not_tried_again(tmp_path: Path, tried: list[TrialSpec]) -> None:
    opened(tmp_path)
    opened(tmp_path)
    assert len(tried) == 2


def test_what_cannot_be_trained_stops_the_study_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'nothing\.\*' matches no prunable parameter"):
        opened(tmp_path, prune={"exclude": ["nothing.*"]})
    assert not (tmp_path / "small" / "study.json").exists()
