"""`pdsearch init` writes two valid files for what it finds, asks only a terminal, and replaces nothing unasked."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image

from pdsearch.cli.first_space import inspect_data
from pdsearch.cli.main import main
from pdsearch.config import Space, load
from pdsearch.search.planning import calibrate

FAST, SLOW = 20_000.0, 35.0
FUNCTION = "tests.data.sources.test_callable:plain"


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of photographs of several sizes and modes, with what file managers leave there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibrate, "images_per_s", lambda *_: FAST)
    for kind in ("apple", "boat"):
        (tmp_path / "my photos" / kind).mkdir(parents=True)
        for number, mode in enumerate(("RGB", "RGBA", "L") * 4):
            pixels = np.random.default_rng(number).integers(0, 255, (50 + number, 70, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(tmp_path / "my photos" / kind / f"{number}.png")
    (tmp_path / "my photos" / ".DS_Store").write_bytes(b"\0")
    return tmp_path / "my photos"


def both() -> tuple[Space, Space]:
    return load("my-photos.yaml"), load("my-photos_smoke.yaml")


def test_a_folder_of_photographs_becomes_two_valid_spaces(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--data", str(images), "--device", "cpu", "--yes"]) == 0
    full, smoke = both()
    assert (full.study, smoke.study) == ("my-photos", "my-photos_smoke")
    data = full.resolve(full.defaults()).data
    assert (data.source, data.root, dict(data.options)) == ("image_folder", str(images), {"image_size": 48})
    assert (data.test_fraction, data.val_fraction, data.augment) == (0.2, 0.2, "crop_flip")
    # An epoch of 24 images has several steps.
    assert full.resolve(full.defaults()).teacher.recipe.batch_size == 8
    shown = capsys.readouterr().out
    assert "colour images in 2 classes, 48x48 pixels, resized and cropped" in shown
    assert shown.count("images/s with") == 2  # each network's speed once
    assert "pdsearch run my-photos_smoke.yaml" in shown
    assert "About" in Path("my-photos.yaml").read_text()


@pytest.mark.parametrize(("speed", "trials"), [(FAST, 60), (SLOW, 16)])
def test_the_search_is_as_large_as_fits_into_the_hours(
    images: Path, monkeypatch: pytest.MonkeyPatch, speed: float, trials: int
) -> None:
    monkeypatch.setattr(calibrate, "images_per_s", lambda *_: speed)
    monkeypatch.setattr("pdsearch.search.planning.calibrate.cores", lambda: 2)
    assert main(["init", "--data", str(images), "--device", "cpu", "--hours", "0.1", "--yes"]) == 0
    full, smoke = both()
    assert full.search.trials == trials
    assert smoke.search.trials == 3


def test_given_networks_stand_in_the_files(images: Path) -> None:
    words = ("--teacher", "convnet_m", "--student", "from_teacher", "--image-size", "24", "--out", "a.yaml")
    assert main(["init", "--data", str(images), "--device", "cpu", "--yes", *words]) == 0
    smoke = load("a_smoke.yaml")
    spec = smoke.resolve(smoke.defaults())
    assert (spec.teacher.model, spec.student.model, dict(spec.data.options)) == (
        "convnet_m",
        "from_teacher",
        {"image_size": 24},
    )


def broken(images: Path) -> None:
    (images / "boat" / "half.png").write_bytes((images / "boat" / "1.png").read_bytes()[:99])


def there(images: Path) -> None:
    (images.parent / "my-photos.yaml").write_text("mine")


@pytest.mark.parametrize(
    ("before", "words", "message"),
    [
        (broken, ("--data", "my photos"), "1 of 25 images looked at cannot be read: my photos/boat/half.png"),
        (there, ("--data", "my photos"), "my-photos.yaml: is there already; nothing was written"),
        (None, (), "--data: what is the data (a folder"),
        (None, ("--data", "my fotos"), "no such folder, file or data set"),
        (None, ("--data", "my photos/apple/0.png"), "a file that no source reads"),
        (None, ("--data", "my photos", "--teacher", "resnet21"), "unknown model 'resnet21'"),
        (None, ("--data", "my photos", "--device", "tpu"), "known: cpu, gpu"),
    ],
)
def test_what_cannot_be_is_one_message_and_nothing_is_written(
    images: Path,
    capsys: pytest.CaptureFixture[str],
    before: Callable[[Path], None] | None,
    words: tuple[str, ...],
    message: str,
) -> None:
    if before is not None:
        before(images)
    assert main(["init", *words, *(() if "--device" in words else ("--device", "cpu")), "--yes"]) == 2
    assert message in capsys.readouterr().err
    files = [path.read_text() for path in images.parent.glob("*.yaml")]
    assert files == (["mine"] if before is there else [])


def test_broken_images_are_refused_before_anything_is_asked(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(images)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: pytest.fail("asked"))
    assert main(["init", "--data", "my photos"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_terminal_is_asked_and_asked_again(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = iter(["my fotos", "my photos", "cpu", "resnet21", "convnet_l", "convnet_s", "soon", "0.5"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(given))
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: True)
    there(images)
    assert main(["init"]) == 0
    said = capsys.readouterr().err
    assert "my fotos: no such folder, file or data set" in said
    assert "unknown model 'resnet21'" in said
    assert "'soon' is no number of hours" in said
    assert dict(load("my-photos.yaml").fixed)["teacher.model"] == "convnet_l"


def parquet(folder: Path) -> str:
    """Two classes of 8x8 images, without test images of their own."""
    stored = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stored, "PNG")
    rows = {"image": [stored.getvalue()] * 20, "label": [0, 1] * 10}
    pq.write_table(pa.table(rows), folder / "train.parquet")
    return "train.parquet"


def downloaded(folder: Path) -> str:
    (folder / "here" / "cifar-10-batches-bin").mkdir(parents=True)
    return "here"


def squares(folder: Path) -> str:
    for kind in "ab":
        (folder / "squares" / kind).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (32, 32), (number, 0, 0)).save(folder / "squares" / kind / f"{number}.png")
    return "squares"


@pytest.mark.parametrize(
    ("made", "source", "options", "has_test"),
    [
        (parquet, "parquet", {}, False),
        (downloaded, "cifar10", {}, True),
        (squares, "image_folder", {}, False),
        (lambda _: FUNCTION, "callable", {"function": FUNCTION}, True),
        (lambda _: "svhn", "svhn", {}, True),
    ],
)
def test_each_kind_of_data_is_recognised(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Path], str],
    source: str,
    options: dict[str, str],
    has_test: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    found = inspect_data(made(tmp_path), None, gpu=False)
    assert (found.data.source, dict(found.data.options), found.has_test) == (source, options, has_test)
