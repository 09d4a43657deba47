"""What is `precision: auto` for a space? By device and by the size of its student; a named one is taken as it is."""

from pathlib import Path

import pytest

from pdsearch.search.precision import precision
from pdsearch.space import Space, load
from pdsearch.training import engine

SPACE = """
study: precise
data: {{source: {source}{root}}}
teacher: {{model: convnet_l, seed: 0}}
student: {{model: {student}}}
train: {{teacher: {{epochs: 1, lr: 0.1}}, distill: {{epochs: 1, lr: 0.1}}}}
precision: {precision}
"""


def space(folder: Path, student: str, *, asked: str = "auto", source: str = "digits") -> Space:
    file = folder / "space.yaml"
    root = "" if source == "digits" else f", root: {folder}"
    file.write_text(SPACE.format(student=student, precision=asked, source=source, root=root))
    return load(file)


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ("convnet_s", "fp32"),
        ("convnet_m", "bf16"),
        ("from_teacher", "bf16"),
        ("torchvision/resnet18", "bf16"),
    ],
)
def test_auto_looks_at_the_student(
    student: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx512_bf16"})
    assert precision(space(tmp_path, student)) == expected


def test_without_instructions_for_it_there_is_no_bf16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_cpu_flags", lambda: {"avx2"})
    assert precision(space(tmp_path, "convnet_m")) == "fp32"


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_a_named_precision_is_taken(asked: str, tmp_path: Path) -> None:
    assert precision(space(tmp_path, "convnet_s", asked=asked)) == asked
