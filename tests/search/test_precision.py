"""`precision: auto` is resolved by device and size of the student; a named precision is kept."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from pdsearch.config import Space, parse
from pdsearch.data.dataset.dataset import Dataset, Split
from pdsearch.errors import ConfigError
from pdsearch.models import build
from pdsearch.pipeline.rehearsal import Rehearsal, rehearsing
from pdsearch.search.preflight import opening
from pdsearch.search.preflight.resources import Precision, choose_precision, kept_precision, room
from pdsearch.search.study import open_as_driver
from pdsearch.training import device as engine
from tests.own_code import Author
from tests.search.scripted_trials import DOCUMENT, Watching
from tests.some import some

WHOLE = """
from torch import nn

BUILT = []


def flat(*, num_classes, channels, image_size, width=4):
    BUILT.append(width)
    size = channels * image_size ** 2
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, num_classes))


def failing(*, num_classes, channels, image_size):
    raise ValueError("not today")
"""

SHAPED = """
import torch
from torch import nn

BUILT = []


class Shaped(nn.Module):
    def __init__(self, *, num_classes, channels, image_size, widths=(4, 6)):
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, widths[0], 3), nn.Conv2d(widths[0], widths[1], 3)
        self.last = nn.Linear(widths[1], num_classes)
        if not self.last.weight.is_meta:
            BUILT.append(widths)

    def forward(self, images):
        return self.last(torch.relu(self.second(torch.relu(self.first(images)))).mean((2, 3)))
"""


def images(channels: int = 1, size: int = 8) -> Dataset:
    split = Split(torch.zeros(1, channels, size, size, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    shape = torch.zeros(channels)
    return Dataset(split, split, split, tuple("0123456789"), shape, shape)


def chosen(
    student: str, *, data: Dataset | None = None, asked: str = "auto", **options: Any
) -> tuple[str, str]:
    space = parse({**DOCUMENT, "student": {"model": student, "options": options}, "precision": asked})
    return chosen_for(space, data or images())


def chosen_for(space: Space, data: Dataset) -> tuple[str, str]:
    with rehearsing(data) as rehearsal:
        found = choose_precision(space, rehearsal)
    return found.name, found.reason


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with instructions for bf16."""
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx512_bf16"})


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ("convnet_s", "fp32"),
        ("convnet_m", "fp32"),
        ("resnet8", "bf16"),
        ("from_teacher", "bf16"),
        ("torchvision/resnet18", "bf16"),
        ("mobilenetv2", "fp32"),
        ("shufflenetv2", "fp32"),
    ],
)
def test_auto_looks_at_the_student(student: str, expected: str) -> None:
    assert chosen(student, data=images(size=32))[0] == expected


@pytest.mark.parametrize(("teacher", "expected"), [("mobilenetv2", "fp32"), ("convnet_s", "bf16")])
def test_a_student_shaped_by_its_teacher_is_taken_to_be_of_its_kind(teacher: str, expected: str) -> None:
    document = {**DOCUMENT, "teacher": {"model": teacher}, "student": {"model": "from_teacher"}}
    space = parse({**document, "precision": "auto"})
    assert chosen_for(space, images(size=32))[0] == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (4, ("fp32", "auto: a student of 310 weights is too small for bf16 to pay")),
        (399, ("fp32", "auto: a student of 29,935 weights is too small for bf16 to pay")),
        (400, ("bf16", "auto: this CPU has instructions for it")),
    ],
)
def test_the_weights_of_a_student_of_one_s_own_are_counted(
    width: int, expected: tuple[str, str], author: Author
) -> None:
    assert chosen(f"{author.write(WHOLE)}:flat", width=width) == expected


def test_it_counts_for_the_images_at_hand(author: Author) -> None:
    name = f"{author.write(WHOLE)}:flat"
    assert chosen(name, data=images(3, 28), width=10)[1].startswith("auto: a student of 23,640 weights")
    assert chosen(name, data=images(3, 32), width=10)[0] == "bf16"


def test_a_student_that_cannot_be_built_is_one_message(author: Author) -> None:
    name = f"{author.write(WHOLE)}:failing"
    with pytest.raises(ConfigError, match=f"{name} cannot be built: ValueError: not today") as caught:
        chosen(name)
    assert caught.value.where == "student.model"


def test_without_instructions_for_it_there_is_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx2"})
    assert chosen("resnet8", data=images(size=32)) == ("fp32", "auto: this CPU has no instructions for bf16")


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_a_named_precision_is_taken_and_nothing_is_built_for_it(asked: str, author: Author) -> None:
    name = f"{author.write(WHOLE)}:failing"
    assert chosen(name, asked=asked) == (asked, "as the space says")


def own(folder: Path, name: str, **sections: Any) -> Any:
    return parse(
        {
            **DOCUMENT,
            "student": {"model": name},
            "precision": "auto",
            "storage": str(folder),
            "confirm": "off",
            **sections,
        }
    )


def test_a_teacher_that_shapes_its_student_is_looked_at_and_teaches_as_one_network(
    author: Author, tmp_path: Path
) -> None:
    module = author.write(SHAPED)
    space = own(tmp_path, "from_teacher", teacher={"model": f"{module}:Shaped"})
    with open_as_driver(space, Watching()) as study:
        assert study.precision.name == "bf16"
    # Twice the teacher, and its students with and without pruning; what is built without memory, to see which layers
    # follow which width, costs nothing.
    assert __import__(module).BUILT == [(4, 6), (4, 6), (4, 6), (3, 6)]


def test_opening_a_study_builds_a_network_once_to_use_it_and_once_to_compare_it(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever looks at it: precision, given weights, trial, what is prunable, and the room that the study takes."""
    module, looked_at = author.write(WHOLE), Mock(wraps=room)
    torch.save(
        build(f"{module}:flat", num_classes=10, input_shape=(1, 8, 8), seed=1).state_dict(), "weights.pt"
    )
    built = __import__(module).BUILT
    built.clear()
    monkeypatch.setattr(opening, "room", looked_at)
    teacher = {"model": f"{module}:flat", "options": {"width": 4}, "checkpoint": "weights.pt"}
    space = own(
        tmp_path,
        f"{module}:flat",
        teacher=teacher,
        student={"model": f"{module}:flat", "options": {"width": 3}},
    )
    with open_as_driver(space, Watching()) as study:
        assert (study.precision.name, study.describe.precision) == ("fp32", "fp32")
        study.scheduler.next()
    assert looked_at.called
    assert built == [3, 4, 4, 3]
    with open_as_driver(space, Watching()):
        assert built == [3, 4, 4, 3, 4], "a study that goes on looks at its teacher's file alone"


def test_a_study_that_goes_on_keeps_the_precision_it_began_with(author: Author, tmp_path: Path) -> None:
    """Such as one that was begun when the weights of own students were not counted."""
    space = own(tmp_path, f"{author.write(WHOLE)}:flat")
    with open_as_driver(space, Watching()):
        pass
    path = tmp_path / "small" / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "precision": "bf16"}))
    with open_as_driver(space, Watching()) as study:
        assert study.precision == kept_precision(space, "bf16")
        assert (study.precision.name, study.precision.reason) == ("bf16", "auto: as when the study began")
        assert study.describe.complete(space.resolve(space.defaults())).precision == "bf16"
        job = some(study.scheduler.next())
        assert job.spec.precision == "bf16"


@pytest.mark.parametrize(
    ("gpu", "student", "workers", "expected"),
    [
        (1, "convnet_s", True, ("bf16", "auto, say the workers")),
        (0.5, "convnet_s", False, ("fp16", "auto, say the workers")),
        (0, "resnet8", True, ("bf16", "auto: this CPU has instructions for it, say the workers")),
        (0, "resnet8", False, ("fp32", "auto: this CPU has no instructions for bf16, say the workers")),
    ],
)
def test_on_a_cluster_the_workers_settle_it_once(
    gpu: float,
    student: str,
    workers: bool,
    expected: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx2"} if workers else {"avx512_bf16"})  # The head's.
    monkeypatch.setattr(Rehearsal, "trial", lambda *_: None)
    asked: list[Path] = []

    def ask() -> bool:
        asked.append(tmp_path)
        assert not (tmp_path / "small" / "study.json").exists()
        return workers

    resources = {"cpu": 1, "gpu": gpu}
    mine = own(tmp_path, student, resources=resources, data={"source": "digits", "subset": 100})
    watching = Watching()
    for _ in range(2):
        with open_as_driver(mine, watching, ask_workers=ask) as study:
            kept = kept_precision(mine, expected[0])
            assert study.precision == (kept if study.resumed else Precision(*expected))
            assert study.describe.precision == expected[0]
    assert len(asked) == 1
    assert any("on the CPU in fp32" in line for line in watching.said) == (expected[0] == "fp16")


def test_workers_are_not_asked_where_the_space_says_it_or_is_refused(author: Author, tmp_path: Path) -> None:
    def ask() -> bool:
        raise AssertionError

    with open_as_driver(own(tmp_path, "convnet_s", precision="bf16"), Watching(), ask_workers=ask) as study:
        assert study.describe.precision == "bf16"
    with (
        pytest.raises(ConfigError, match="cannot be built"),
        open_as_driver(
            own(tmp_path / "x", f"{author.write(WHOLE)}:failing", resources={"cpu": 1, "gpu": 1}),
            Watching(),
            ask_workers=ask,
        ),
    ):
        pass
