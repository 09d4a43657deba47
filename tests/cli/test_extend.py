"""`pdsearch extend`: what would change is shown, what changes is written, what cannot change is refused."""

from pathlib import Path

import pytest

from pdsearch.cli.main import main
from tests.faults import scripted_study

SPACE = """
study: study
data: {source: digits, val_fraction: 0.2}
teacher: {model: convnet_l}
student: {model: convnet_s}
train:
  teacher: &recipe {epochs: 3, lr: 0.1}
  recover: *recipe
  distill: *recipe
space:
  prune.method: [none, magnitude]
  prune.ratio: {choices: [0.2, 0.36], when: {prune.method: [magnitude]}}
  distill.alpha: {low: 0.1, high: 1.0}
search: {trials: 4, seed: 1, stop: {halving: {min_epochs: 1, factor: 2}}}
constraints: ["student.params <= 1000"]
confirm: {teachers: 1, seeds: 1}
storage: STORAGE
"""


def test_a_study_is_extended_after_it_was_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "space.yaml"
    file.write_text(SPACE.replace("STORAGE", str(root)))
    wider = ("--set", "space.distill.alpha={low: 0.0, high: 1.0}")
    assert main(["extend", str(file), *wider]) == 2
    assert "there is no study to extend" in capsys.readouterr().err
    scripted_study.run(scripted_study.space(root))
    assert main(["extend", str(file)]) == 0
    assert "has this space already" in capsys.readouterr().out
    assert main(["extend", str(file), *wider, "--dry-run"]) == 0
    assert "space.distill.alpha.low: 0.1 -> 0.0\nnothing was changed" in capsys.readouterr().out
    assert main(["extend", str(file), *wider]) == 0
    assert f"to go on: pdsearch run {file}" in capsys.readouterr().out
    assert main(["extend", str(file), *wider]) == 0
    assert main(["extend", str(file)]) == 2
    assert "wider, not narrower" in capsys.readouterr().err
