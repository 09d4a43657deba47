"""A card tells a student's numbers with their intervals, and how sure they are."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.exporting.config_file import Needs
from pdsearch.exporting.model_card import Built, model_card
from pdsearch.exporting.student_file import Card
from pdsearch.input_spec import InputSpec
from pdsearch.models import build
from pdsearch.pipeline.networks import network_tensors
from tests.analysis.synthetic_studies import confirmed, record, study
from tests.analysis.test_ranking import RECORDS
from tests.own_code import NETS, Author

BUILT = Card("vgg11_bn", (), ("cat", "dog"), InputSpec((3, 32, 32)), (120.0,) * 3, (60.0,) * 3, "a" * 64)
NEEDS = Needs("/runs", None, None, {})


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return rank_teachers(study(RECORDS))


def test_numbers_carry_intervals(ranking: Ranking) -> None:
    card = model_card(ranking.rows[1], "made-up", student=Built(BUILT), needs=NEEDS)
    assert "# vgg11_bn, taught by vgg19_bn magnitude 59%" in card
    assert "| this student when it was trained, in fp32 | 70.00 | 69.00 |" in card
    assert "| mean of 3 such students | 72.00 ± 4.97 | 71.00 ± 4.97 |" in card
    assert "+2.00 [-0.14, +4.14] |" in card
    assert "load_student" in card
    assert "# images: uint8 (any number, 3, 32, 32), 0 to 255" in card


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("vgg19_bn unpruned", "`vgg19_bn`, unpruned, 80.00 %"),
        ("vgg19_bn magnitude 59%", "`magnitude` to 59.04 %"),
    ],
)
def test_the_teacher_is_described(ranking: Ranking, label: str, words: str) -> None:
    (row,) = [row for row in ranking.rows if row.label == label]
    assert words in model_card(row, "made-up", student=Built(BUILT), needs=NEEDS)


def test_a_teacher_that_lost_nothing_is_whole(ranking: Ranking) -> None:
    (row,) = [row for row in ranking.rows if row.label == "vgg19_bn magnitude 59%"]
    whole = replace(row, best=replace(row.best, prune_method="train_on", teacher_sparsity=0.0))
    told = f"`vgg19_bn`, whole, trained on for {row.best.prune_rounds} rounds (`train_on`),"
    assert told in model_card(whole, "made-up", student=Built(BUILT), needs=NEEDS)


def test_a_teacher_that_was_not_validated_tells_its_test_accuracy(ranking: Ranking) -> None:
    row = replace(ranking.rows[1], teacher_val=None, teacher_test=0.9)
    card = model_card(row, "made-up", student=Built(BUILT), needs=NEEDS)
    assert "recovery lr_rewind, 90.00 % on test images." in card
    assert "- % on" not in card


def test_what_is_unsure_is_said(ranking: Ranking) -> None:
    unconfirmed = model_card(ranking.rows[-1], "made-up", student=None, needs=NEEDS)
    assert "Not confirmed" in unconfirmed
    assert "the best of a search" in unconfirmed
    assert "load_student" not in unconfirmed
    once = rank_teachers(study([record("magnitude", 0.7, kind="search", test=0.69)])).rows[0]
    assert "is that of one student" in model_card(once, "made-up", student=Built(BUILT), needs=NEEDS)
    single = rank_teachers(study(confirmed("magnitude", [0.7]))).rows[0]
    assert "One value gives no interval" in model_card(single, "made-up", student=Built(BUILT), needs=NEEDS)


DRAWN = """
import torch
from torch import nn


class flat(nn.Module):
    def __init__(self, *, num_classes, channels, image_size, width=4):
        super().__init__()
        self.last = nn.Linear(channels * image_size**2, num_classes)
        self.register_buffer("scale", torch.rand(num_classes), persistent=False)

    def forward(self, images):
        return self.last(images.flatten(1)) * self.scale
"""


@pytest.mark.parametrize(("text", "constants"), [(NETS, False), (DRAWN, True)])
def test_a_network_of_one_s_own_is_loaded_without_pdsearch(
    ranking: Ranking, author: Author, text: str, constants: bool
) -> None:
    module = author.write(text)
    built = replace(BUILT, model=f"{module}:flat", options=(("width", 3),), inputs=InputSpec((1, 8, 8)))
    weights = build(built.model, num_classes=2, input_shape=(1, 8, 8), seed=5, options=built.options)
    save_file(network_tensors(weights), author.folder / "student.safetensors")
    card = model_card(ranking.rows[0], "made-up", student=Built(built, constants=constants), needs=NEEDS)
    code = card.split("```python\n")[2].split("```")[0]
    found: dict[str, Any] = {}
    exec(code, found)
    images = torch.ones(1, 1, 8, 8)
    assert torch.equal(found["student"](images), weights(images))
    assert "pdsearch" not in code
    assert "must be importable" not in model_card(
        ranking.rows[0], "made-up", student=Built(BUILT), needs=NEEDS
    )


def test_it_says_which_paths_must_exist(ranking: Ranking) -> None:
    needs = Needs("/runs", "/data/birds", "/weights/t.pth", {"mine:tiny": "/my code", "theirs.nets:f": None})
    card = model_card(ranking.rows[0], "made-up", student=Built(BUILT), needs=needs)
    assert "`PYTHONPATH='/my code' pdsearch run config.yaml`, from any folder" in card
    for line in (
        "`/data/birds` (`data.root`)",
        "`/weights/t.pth` (`teacher.checkpoint`)",
        "`/runs` (`storage`)",
    ):
        assert line in card
    assert "`mine:tiny`, importable, found in `/my code`." in card
    assert "`theirs.nets:f`, importable." in card
    assert (
        "`PYTHONPATH=FOLDER pdsearch run config.yaml --set storage=FOLDER --set data.root=FOLDER"
        " --set teacher.checkpoint=FILE`" in card
    )
    plain = model_card(ranking.rows[0], "made-up", student=Built(BUILT), needs=NEEDS)
    assert "`pdsearch run config.yaml --set storage=FOLDER`" in plain
    assert "data.root" not in plain
