import json
from pathlib import Path

import pytest

from pdsearch.cli.main import main
from tests.cli.conftest import SPACE

FRONT = [
    "objectives=[{metric: student.val_accuracy, goal: maximize}, {metric: student.params, goal: minimize}]",
    "search.stop=off",
]
ONE = ["space={}", "data.val_fraction=0", "search={}", "constraints=[]", "prune.method=none"]


def test_a_plan_says_what_would_be_searched(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file)]) == 0
    text = capsys.readouterr().out
    assert "study small, in " in text
    assert "6 trials of 3 searched parameters" in text
    assert "constraint: student.params <= 5000" in text
    assert "best 1 of 2 at each rung, from epoch 2" in text
    assert "confirms 2 teachers with 3 fresh seeds each" in text
    assert "convnet_l, magnitude: 99.6 % of 154,330 weights are prunable" in text
    assert "prune.ratio\t0.36, 0.59\tprune.method is magnitude\n" in text
    assert "distill.temperature\t1 to 20, log\t\n" in text


def test_json_is_the_whole_space(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["space"]["search"]["trials"] == 6
    (warning,) = found["warnings"]
    assert warning.startswith("search.trials is 6 for 3 teachers, 2.0 each: ")


def test_a_warning_stands_beside_the_plan(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SPACE.replace("{choices: [0.36, 0.59],", "{low: 0.2, high: 0.8,"))
    assert main(["check", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("warning: ")
    assert "warning" not in captured.out


def test_the_data_are_read_and_described(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", str(file), "--data", "--set", "data.subset=50", "--set", "train.distill.batch_size=64"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "data: 45 training, 5 validation, 450 test images of uint8 (1, 8, 8), 10 classes (0, 1," in text
    assert "data: 5 of 10 classes have no validation image: " in text
    assert "data: one validation image is 20 points of accuracy" in text
    assert (
        "data: train.distill.batch_size 64 is larger than the training split: an epoch is one step\n" in text
    )


def test_what_only_the_data_show_is_said_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SPACE.replace("{source: digits}", "{source: digits, test_fraction: 0.2}"))
    assert main(["check", str(file), "--data"]) == 2
    assert f"{file}:2:24 key data.test_fraction: the set has test images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["confirm=off"], "objective: maximize student.val_accuracy"),
        (["confirm.front=0", *FRONT], "confirms 2 teachers with 3 fresh seeds each"),
        (["confirm.front=4", *FRONT], "confirms members of the front as well: 4"),
        (FRONT, "confirms members of the front as well: up to 2, which make up most of it"),
        ([*ONE, "confirm=off"], "the one configuration is trained once and tested"),
        (
            [*ONE, "confirm={seeds: 3, teacher_seeds: 2}"],
            "trained with 3 seeds, 2 teachers each, and tested, with baselines",
        ),
    ],
)
def test_each_decision_is_a_line(
    file: Path, capsys: pytest.CaptureFixture[str], changes: list[str], said: str
) -> None:
    assert main(["check", str(file), *(word for change in changes for word in ("--set", change))]) == 0
    text = capsys.readouterr().out
    assert said in text
    assert ("confirms" in text) == said.startswith("confirms")
    assert ("members of the front" in text) == ("members of the front" in said)
    assert ("searched\tvalues" in text) != (ONE[0] in changes)
