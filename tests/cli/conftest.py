from pathlib import Path

import pytest

from tests.analysis.synthetic_studies import record, write_study

SPACE = """
data: {source: digits}
teacher: {model: convnet_l}
student: {model: convnet_s}
train:
  teacher: {epochs: 4, lr: 0.1}
  recover: {epochs: 2, lr: 0.1}
  distill: {epochs: 4, lr: 0.1}
space:
  prune.method: [none, magnitude]
  prune.ratio: {choices: [0.36, 0.59], when: {prune.method: [magnitude]}}
  distill.temperature: {low: 1, high: 20, log: true}
search: {trials: 6, stop: {halving: {min_epochs: 2, factor: 2}}}
constraints: ["student.params <= 5000"]
confirm: {teachers: 2, seeds: 3}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small space's file."""
    path = tmp_path / "small.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def study_folder(tmp_path: Path) -> Path:
    """A study of two searched and nine confirmed trials: the pruned teacher's students are the best."""
    found = [record("magnitude", 0.90, kind="search", number=0), record(None, 0.88, kind="search", number=1)]
    for method, first in (("magnitude", 0.90), (None, 0.88), ("alone", 0.80)):
        for seed in (1, 2, 3):
            value = first + 0.01 * seed
            found.append(record(method, value, seed=seed, test=value))
    for item in found:
        item["student"]["artifact"] = None
    objectives = [
        {"metric": "student.val_accuracy", "goal": "maximize"},
        {"metric": "student.params", "goal": "minimize"},
    ]
    write_study(tmp_path / "small", found, study="small", space={"objectives": objectives})
    return tmp_path / "small"
