"""docs/mistakes.md: the commonest mistakes, each with its command and its message; run this module to write it."""

import io
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from importlib.resources import files
from pathlib import Path

import numpy as np
from PIL import Image

from pdsearch.cli.main import main
from tests.architecture.tree import ROOT

PAGE = ROOT / "docs/mistakes.md"
WIDEST = 240
SET = "pdsearch check digits.yaml --set"
TINY = "pdsearch run tiny.yaml --serial"
FOLDER = f"{TINY} --set study=mine --set data.source=image_folder"

MISTAKES: dict[str, tuple[str, ...]] = {
    "The command line": (
        "pdsearch rnk runs/tiny",
        "pdsearch digits.yaml",
        "pdsearch run",
        "pdsearch run digts.yaml",
        "pdsearch run digits.yaml --worker 2",
        "pdsearch rank digits.yaml",
        "pdsearch rank runs/tny",
        "pdsearch list losss",
        "pdsearch retry runs/tiny",
        "pdsearch init",
        "pdsearch init --data fotos --yes",
        "pdsearch init --data photos --device cpu --out tiny.yaml --yes",
    ),
    "Names in a space file": (
        f"{SET} search.trails=30",
        f"{SET} train.distil.epochs=30",
        f"{SET} 'space.prune.method=[none, magnitud]'",
        f"{SET} teacher.model=resnet21",
        f"{SET} distill.loss=dkdd",
        f"{SET} 'space.distill.temprature=[1, 4]'",
        f"{SET} 'objectives=[{{metric: student.accuracy}}]'",
        f"{SET} search.trials",
    ),
    "Values in a space file": (
        f"{SET} train.teacher.epochs=1.5",
        f"{SET} 'space.prune.ratio=[36, 59]'",
        f"{SET} 'space.distill.temperature={{low: 20, high: 1}}'",
        f"{SET} 'space.distill.temperature={{low: 1}}'",
        f"{SET} distill.alpha=0.5",
        f"{SET} distill.loss=ce",
        f"{SET} train.teacher.epochs=5",
        f"{SET} train.distill.epochs=5",
        f"{SET} 'constraints=[student.val_accuracy >= 90]'",
        f"{SET} space.prune.method=none",
        f"{SET} resources.gpu=2",
        f"{SET} search.gpu_hours=10",
        "pdsearch check several.yaml",
    ),
    "Data": (
        f"{FOLDER}",
        f"{FOLDER} --set data.root=fotos",
        f"{FOLDER} --set data.root=photos",
        f"{FOLDER} --set data.root=photos --set data.test_fraction=0.3",
        f"{FOLDER} --set data.root=broken --set data.test_fraction=0.3 --set data.options.image_size=16",
    ),
    "Code of your own": (
        f"{SET} teacher.model=nests:net",
        f"{SET} teacher.model=nets:nett",
        f"{SET} teacher.model=torn:net",
        f"{TINY} --set study=mine --set student.model=nets:raises",
        f"{TINY} --set study=mine --set student.model=nets:wrong",
        f"{TINY} --set study=mine --set distill.loss=nets:loss",
    ),
    "Runs": (
        f"{TINY} --set train.distill.epochs=2",
        "pdsearch run digits.yaml --address auto",
        "pdsearch run digits.yaml --address http://head:8265",
        "pdsearch run digits.yaml --on-end notfy-send",
        "pdsearch cache gc runs --json",
    ),
}

TINY_SPACE = """\
study: tiny
data: {source: digits, val_fraction: 0.2}
teacher: {model: convnet_s}
student: {model: convnet_s}
train: {teacher: {epochs: 1, lr: 0.05}, recover: {epochs: 1, lr: 0.05}, distill: {epochs: 1, lr: 0.05}}
search: {trials: 1}
precision: fp32
"""
SEVERAL = """\
data: {source: digts, val_fraction: 10}
teacher: {model: convnet_l, sed: 0}
student: {model: convnet_s}
train:
  teacher: {epochs: 2, lr: 0.05, milestones: [6, 9]}
  recover: {epochs: 4, lr: 0.05}
  distill: {epochs: 18, lr: fast}
prune: {scope: globl}
space:
  prune.method: [none, magnitude]
  prune.ratio: {choices: [0.36, 0.59, 79], when: {prune.method: [magnitude]}}
"""
NETS = """\
import torch


class Raises(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.last = torch.nn.Linear(8, classes)

    def forward(self, images):
        return self.last(images.means((2, 3)))


def net(num_classes, channels, image_size):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * image_size**2, num_classes))


def raises(num_classes, channels, image_size):
    return Raises(num_classes)


def loss(student, teacher, targets, params):
    return (student.logits - teacher.logit).abs().mean()


def wrong(num_classes, channels, image_size):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * image_size**2, 3))
"""
TORN = "def net(num_classes:\n    ...\n"
HEAD = """\
# The commonest mistakes, and what is said

Each block is a command and its exact message (lines over 240 characters are cut), written by `python -m
tests.docs.mistakes_page`; a test keeps them true. All come before anything is trained. `digits.yaml` is the file that
`pdsearch demo` writes; `photos` holds images of several sizes, `broken` one that is cut off, `nets.py` networks and a
loss, `torn.py` an open bracket, and `runs/tiny` a finished study. [Exit codes](exit_codes.md) has the codes.
"""


@contextmanager
def scratch(folder: Path) -> Iterator[None]:
    """Work in a folder with the files that the commands name, and a finished study."""
    (folder / "digits.yaml").write_text((files("pdsearch.cli") / "digits.yaml").read_text(encoding="utf-8"))
    for name, text in (
        ("tiny.yaml", TINY_SPACE),
        ("several.yaml", SEVERAL),
        ("nets.py", NETS),
        ("torn.py", TORN),
    ):
        (folder / name).write_text(text)
    for place in ("photos", "broken"):
        for kind in ("apple", "boat"):
            (folder / place / kind).mkdir(parents=True)
            for number in range(4):
                image = Image.fromarray(np.full((20, 24 + number, 3), 40 * number, dtype=np.uint8))
                image.save(folder / place / kind / f"{number}.png")
    half = folder / "broken" / "boat" / "3.png"
    half.write_bytes(half.read_bytes()[:45])
    with chdir(folder):
        assert _said(TINY) == (0, "")
        yield


def _said(command: str) -> tuple[int, str]:
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        code = main(shlex.split(command)[1:])
    text = error.getvalue().replace(f"{Path.cwd()}/", "")
    return code, text[text.find("pdsearch: ") :].rstrip() if "pdsearch: " in text else ""


def entry(command: str) -> str:
    """Return a command with its message as the page shows them."""
    code, said = _said(command)
    lines = [line if len(line) <= WIDEST else f"{line[:WIDEST]} ..." for line in said.splitlines()]
    return "\n".join([f"$ {command}    # exit code {code}", *lines])


def page() -> str:
    """Return the page; called within `scratch`."""
    parts = [HEAD]
    for title, commands in MISTAKES.items():
        parts.append(f"\n## {title}\n")
        parts += [f"\n```text\n{entry(command)}\n```\n" for command in commands]
    return "".join(parts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, scratch(Path(name)):
        PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.flush()
