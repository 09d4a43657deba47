"""Code of the user's own that raises, of whatever kind, is named as what it is, with its file and line."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdsearch.cli.main import main
from pdsearch.data.registry import augmentations
from pdsearch.user_code import load_dotted
from tests.own_code import Author

ROOT = Path(__file__).parents[2]
SPACE = """\
study: own
data: {source: digits, val_fraction: 0.2, subset: 100}
teacher: {model: convnet_s}
student: {model: convnet_s}
train: {teacher: {epochs: 1, lr: 0.05}, recover: {epochs: 1, lr: 0.05}, distill: {epochs: 1, lr: 0.05}}
space: {train.distill.momentum: [0.5, 0.9]}
search: {trials: 2}
precision: fp32
"""
OF_A_FUNCTION = SPACE.replace("source: digits, val_fraction: 0.2, subset: 100", "source: callable")
PARTS = """\
import numpy as np
import optuna
import torch
from torch import nn
from pdsearch import Observer, augmentation


def build(num_classes, input_shape):
    fail()  # build


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, images):
        return fail() if self.training else self.last(images.flatten(1))  # forward


def net(num_classes, input_shape):
    return Net()


def loss(student, teacher, targets, params):
    fail()  # loss


def adapted(student, teacher, targets, params):
    pass


def adapter(student, teacher, images, generator, params):
    fail()  # adapter


adapted.features, adapted.adapter = ("pooled",), adapter


def late(student, teacher, targets, params):
    return fail() if len(targets) > 5 else student.logits.sum()  # late


def vector(student, teacher, targets, params):
    return student.logits.sum(1) if len(targets) > 5 else student.logits.sum()


def infinite(student, teacher, targets, params):
    return student.logits.sum() * (float("nan") if len(targets) > 5 else 1)


class Slow(Net):
    def forward(self, images):
        return fail() if len(images) > 5 else self.last(images.flatten(1))  # late_forward


def slow(num_classes, input_shape):
    return Slow()


def method(model, batches, generator, params):
    fail()  # method


def data():
    fail()  # data


class Images:
    shape, dtype = (40, 1, 8, 8), np.dtype("uint8")

    def __len__(self):
        return 40

    def __getitem__(self, index):
        fail()  # images


def lazy():
    return Images(), np.arange(40) % 2, None, None, ("a", "b")


def sampler(study, seed):
    return optuna.samplers.RandomSampler(seed=seed) if len(study.trials) < 2 else fail()  # sampler


def observer(space):
    fail()  # observer


class Deaf(Observer):
    def started(self, job):
        fail()  # started


def deaf(space):
    return Deaf()


class Change:
    constant = False

    def draw(self, images, size, generator):
        return torch.zeros(images, 1, dtype=torch.int64)

    def apply(self, images, draws):
        return images


@augmentation("own_apply")
@object.__new__
class Apply(Change):
    def apply(self, images, draws):
        fail()  # apply


@augmentation("own_draw")
@object.__new__
class Draw(Change):
    def draw(self, images, size, generator):
        fail()  # draw


@augmentation("own_constant")
@object.__new__
class Constant(Change):
    @property
    def constant(self):
        fail()  # constant


@augmentation("own_late")
@object.__new__
class Late(Change):
    def apply(self, images, draws):
        return fail() if len(images) > 5 else images  # late_apply


@augmentation("own_crop")
@object.__new__
class Crop(Change):
    def crop(self, images, draws, side):
        fail()  # crop


class Mix(Change):
    def apply(self, images, partners, draws):
        return images


@augmentation("own_mix")
@object.__new__
class Mixing(Mix):
    def apply(self, images, partners, draws):
        fail()  # mix

    def share(self, draws, size):
        return torch.ones(len(draws))


@augmentation("own_share")
@object.__new__
class Share(Mix):
    def share(self, draws, size):
        fail()  # share


@augmentation("own_half")
@object.__new__
class Half(Change):
    def apply(self, images, draws):
        return images[..., ::2]


@augmentation("own_nothing")
@object.__new__
class Nothing(Change):
    def draw(self, images, size, generator):
        return None


@augmentation("own_again")
@object.__new__
class Again(Change):
    def apply(self, images, draws):
        return images.flip(-1) if torch.rand(()) < 0.5 else images


@augmentation("own_mean")
@object.__new__
class Mean(Change):
    def apply(self, images, draws):
        return images - images.float().mean(0).to(images.dtype)


def fail():
    raise OSError("it is broken")
"""


@pytest.fixture
def parts(author: Author) -> Iterator[str]:
    """The name of a module of parts that raise; what it registers is forgotten afterwards."""
    known = {*augmentations.names()}
    module = author.write(PARTS)
    load_dotted(f"{module}:net")
    yield module
    for name in {*augmentations.names()} - known:
        del augmentations._entries[name]


@pytest.mark.parametrize(
    ("sets", "code", "named", "line"),
    [
        ("student.model=M:build", 2, "student.model: M:build cannot be built", "build"),
        ("teacher.model=M:net", 2, "teacher.model: M:net fails on two images in training", "forward"),
        ("distill.loss=M:loss", 2, "distill.loss: M:loss fails on 5 images", "loss"),
        ("distill.loss=M:adapted", 2, "distill.loss: M:adapted fails on 5 images", "adapter"),
        ("distill.loss=M:late", 3, "key distill.loss: M:late fails", "late"),
        ("distill.loss=M:vector", 3, "key distill.loss: M:vector returns (80,), not a scalar", None),
        ("distill.loss=M:infinite", 3, "key distill.loss: M:infinite fails: student: diverged", None),
        # One file holds them all: which one was called decides.
        (
            "student.model=M:slow distill.loss=M:infinite",
            3,
            "key student.model: M:slow fails",
            "late_forward",
        ),
        ("teacher.model=M:slow", 3, "key teacher.model: M:slow fails", "late_forward"),
        ("prune.method=M:method prune.ratio=0.5", 2, "prune.method: M:method fails on convnet_s", "method"),
        ("data.options.function=M:data", 2, "data.options.function: M:data: the function failed", "data"),
        ("data.options.function=M:lazy", 2, "data.options.function: M:lazy: indexing its inputs", "images"),
        ("search.sampler=M:sampler", 1, "key search.sampler: M:sampler fails", "sampler"),
        ("data.augment=own_apply", 2, "data.augment: own_apply fails", "apply"),
        ("data.augment=own_apply prune.method=random prune.ratio=0.5", 2, "data.augment: own_apply", "apply"),
        ("data.augment=own_draw", 2, "data.augment: own_draw fails", "draw"),
        ("data.augment=own_constant", 2, "data.augment: own_constant fails", "constant"),
        ("data.augment=own_crop", 2, "data.augment: own_crop fails", "crop"),
        ("data.augment=own_mix", 2, "data.augment: own_mix fails", "mix"),
        ("data.augment=own_share", 2, "data.augment: own_share fails", "share"),
        ("data.augment=own_late", 3, "key data.augment: own_late fails", "late_apply"),
        ("data.augment=own_half", 2, r"own_half returns torch.uint8 (5, 1, 8, 4) of images", None),
        ("data.augment=own_again", 2, "data.augment: own_again: views of an image are others", None),
        ("data.augment=own_mean", 2, "data.augment: own_mean: views of an image are others", None),
        ("data.augment=own_nothing", 2, "data.augment: own_nothing draws NoneType", None),
        ("--observer M:observer", 2, "M:observer failed", "observer"),
        ("--observer M:deaf", 0, "the observer Deaf failed in 'started'", "started"),
    ],
)
def test_a_part_that_raises_is_named_with_its_line(
    sets: str, code: int, named: str, line: str | None, parts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.yaml").write_text(OF_A_FUNCTION if "data.options" in sets else SPACE)
    words = sets.replace("M:", f"{parts}:").split()
    asked = words if words[0] == "--observer" else [part for word in words for part in ("--set", word)]
    assert main(["run", "own.yaml", "--serial", *asked]) == code
    said = capsys.readouterr().err
    assert named.replace("M:", f"{parts}:") in said
    if line is not None:
        place = 1 + PARTS.splitlines().index(next(t for t in PARTS.splitlines() if t.endswith(f"# {line}")))
        assert "OSError: it is broken" in said
        assert re.search(rf"{parts}\.py:{place}, in \w+: .*# {line}\b", said)


def test_what_fails_late_names_its_line_of_the_file_in_record_and_message(
    parts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.yaml").write_text(SPACE + f"distill:\n  loss: {parts}:late\n")
    assert main(["run", "own.yaml", "--serial", "--set", "search.max_failures=0"]) == 3
    reason = f"own.yaml:10:3 key distill.loss: {parts}:late fails: OSError: it is broken"
    assert reason in capsys.readouterr().err
    assert main(["show", "runs/own", "0"]) == 0
    assert reason in capsys.readouterr().out


def test_shipped_spaces_find_their_code_beside_them_wherever_they_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "search_spaces", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(ROOT))])
    for path in sorted(Path("mine").glob("*.yaml")):
        assert main(["check", str(path), "--set", "data.root=."]) == 0, capsys.readouterr().err
