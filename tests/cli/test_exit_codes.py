"""Every line of the table in docs/exit_codes.md ends as it says, with one message and no traceback."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from pdsearch import driver, errors
from pdsearch.artifacts import hold
from pdsearch.cli import main as program
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.trial import patiently
from pdsearch.protocol import Event, Job, Outcome
from tests.architecture.tree import ROOT
from tests.patient import PATIENCE_S

SPACE = """\
study: tiny
data: {source: digits, val_fraction: 0.2, subset: 100}
teacher: {model: convnet_s, seed: 0}
student: {model: convnet_s}
train:
  teacher: {epochs: 1, lr: 0.05}
  recover: {epochs: 1, lr: 0.05}
  distill: {epochs: 1, lr: 0.05}
search: {trials: 1}
confirm: off
precision: fp32
storage: runs
"""
RUN = ("run", "tiny.yaml", "--serial", "--progress", "lines")
DIVERGE = ("--set", "train.distill.lr=1.0e+30")
TWO = ("--set", "space={distill.temperature: [2.0, 4.0]}", "--set", "search.trials=2")


def rows() -> list[tuple[int, str, str]]:
    """(code, error, what happened) of every line of the table."""
    text = (ROOT / "docs/exit_codes.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\| (.*?) \| ", text, flags=re.MULTILINE)
    return [(int(code), error, what) for code, error, what in found]


class Scene:
    """A folder in which the program is started, in this process, and what it is to end with."""

    def __init__(
        self, whole: Path, folder: Path, patch: pytest.MonkeyPatch, row: tuple[int, str, str]
    ) -> None:
        self.whole, self.folder, self.patch = whole, folder, patch
        self.code, self.error, _ = row
        patch.chdir(folder)
        (folder / "tiny.yaml").write_text(SPACE)

    def run_before(self) -> None:
        """Put a study there that has finished."""
        shutil.copytree(self.whole / "runs", self.folder / "runs")

    def call(self, *words: str) -> tuple[int, str]:
        out, error = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(error):
            code = program.main(words)
        return code, error.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        scene = Scene(folder, folder, patch, (0, "", ""))
        assert scene.call(*RUN)[0] == 0
    return folder


def worked(scene: Scene) -> tuple[int, str]:
    scene.run_before()
    return scene.call("rank", "runs/tiny")


def raised(scene: Scene) -> tuple[int, str]:
    """What needs a cluster, or has no cause of its own, is raised by a verb; tests/cluster have the causes."""
    error = getattr(errors, scene.error)("what happened", where="where", hint="what to do")

    def verb() -> None:
        raise error

    scene.patch.setattr(program, "_load", lambda _: verb)
    return scene.call("list")


def only_one_failed(scene: Scene) -> tuple[int, str]:
    return scene.call(*RUN, *DIVERGE)


def none_feasible(scene: Scene) -> tuple[int, str]:
    return scene.call(*RUN, *TWO, "--set", "constraints=[student.params <= 1]")


def confirmation_failed(scene: Scene) -> tuple[int, str]:
    def failing(job: Job, site: WorkerContext) -> Generator[Event, None, None]:
        if job.kind == "confirm":
            yield Outcome("failed", "it broke")
        else:
            yield from patiently(job, site)

    scene.patch.setattr("pdsearch.pipeline.trial.patiently", failing)
    return scene.call(*RUN, *TWO, "--set", "confirm={teachers: 1, seeds: 1}")


def broken(scene: Scene) -> tuple[int, str]:
    scene.run_before()
    (scene.folder / "runs/tiny/trials/search-00000.finished.json").unlink()
    code, said = scene.call("verify", "runs/tiny")
    manifest = next(scene.folder.glob("runs/artifacts/teacher/*/*/manifest.json"))
    manifest.unlink()
    manifest.write_text("{")
    assert scene.call("cache", "verify", "runs")[0] == code
    return code, said


def wrong_file(scene: Scene) -> tuple[int, str]:
    (scene.folder / "tiny.yaml").write_text(SPACE.replace("lr: 0.05", "lr: abc"))
    return scene.call(*RUN)


def another_space(scene: Scene) -> tuple[int, str]:
    scene.run_before()
    return scene.call(*RUN, "--set", "train.distill.lr=0.06")


def wrong_words(scene: Scene) -> tuple[int, str]:
    for words in (["rank", "tiny.yaml"], ["rank", "nowhere"], ["rank", "x", "--format", "tabel"], ["exprt"]):
        code, said = scene.call(*words)
        assert (code, said.count("pdsearch: "), "Value error" in said) == (scene.code, 1, False), said
    return code, said


def there_already(scene: Scene) -> tuple[int, str]:
    scene.run_before()
    assert scene.call("export", "runs/tiny", "--out", "best")[0] == 0
    return scene.call("export", "runs/tiny", "--out", "best")


def irreproducible(scene: Scene) -> tuple[int, str]:
    there_already(scene)
    (student,) = scene.folder.glob("best/*/student.safetensors")
    content = bytearray(student.read_bytes())
    content[-1] ^= 1
    student.unlink()
    student.write_bytes(content)
    return scene.call("reproduce", str(student.parent))


def no_data(scene: Scene) -> tuple[int, str]:
    return scene.call(
        *RUN, "--set", "data.source=parquet", "--set", "data.root=nowhere", "--set", "data.subset=9"
    )


def too_many_failed(scene: Scene) -> tuple[int, str]:
    return scene.call(*RUN, *DIVERGE, *TWO, "--set", "search.max_failures=0")


def all_failed(scene: Scene) -> tuple[int, str]:
    code, said = scene.call(*RUN, *DIVERGE, *TWO, "--set", "search.max_failures=9")
    assert "all 2 trials failed" in said
    assert "pdsearch export" not in said
    return code, said


def held(scene: Scene) -> tuple[int, str]:
    scene.run_before()
    with hold(scene.folder / "runs/tiny/driver.lease", beat_s=0.05):
        return scene.call(*RUN)


def unreadable(scene: Scene) -> tuple[int, str]:
    scene.run_before()
    description = scene.folder / "runs/tiny/study.json"
    description.unlink()
    description.write_text("{")
    return scene.call("rank", "runs/tiny")


def full(scene: Scene) -> tuple[int, str]:
    scene.patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e6))
    code, said = scene.call(*RUN)
    assert not (scene.folder / "runs/tiny").exists(), "what is refused for want of room was not begun"
    return code, said


def unfit(scene: Scene) -> tuple[int, str]:
    scene.patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1e6))
    return scene.call("doctor", "--quick")


def signalled(scene: Scene) -> tuple[int, str]:
    number = signal.Signals(scene.code - 128)
    scene.patch.setattr(driver, "run_serially", lambda *_: os.kill(os.getpid(), number))
    code, said = scene.call(*RUN)
    assert scene.call("verify", "runs/tiny")[0] == 0, "what was interrupted is no fault"
    return code, said


def unread(scene: Scene) -> tuple[int, str]:  # noqa: ARG001 - as the others
    environment, found = {**os.environ, "PYTHONPATH": str(ROOT)}, set()
    for word in ("schema", "--help"):
        process = subprocess.Popen(
            [sys.executable, "-m", "pdsearch", word],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=PATIENCE_S)
        found.add((process.returncode, said.decode()))
    ((code, told),) = found
    return code, told


SCENES: dict[tuple[int, str], Callable[[Scene], tuple[int, str]]] = {
    (0, "It worked"): worked,
    (1, "Anything not named below"): raised,
    (1, "The only configuration failed"): only_one_failed,
    (1, "The search ended and no trial keeps"): none_feasible,
    (1, "Confirmation students failed"): confirmation_failed,
    (1, "`reproduce`"): irreproducible,
    (1, "`verify` or `cache verify` found"): broken,
    (1, "`doctor` found"): unfit,
    (2, "The space file is wrong"): wrong_file,
    (2, "The space, its images, its weights or your own code"): another_space,
    (2, "The command line is wrong"): wrong_words,
    (2, "A folder to be written is there already"): there_already,
    (2, "On a cluster also"): raised,
    (2, "The data set is missing"): no_data,
    (3, "More than `search.max_failures`"): too_many_failed,
    (3, "All trials failed"): all_failed,
    (69, "Ray did not start"): raised,
    (73, "Another process runs"): held,
    (74, "The storage, or the output"): unreadable,
    (75, "No space is left"): full,
    (141, "Whoever read the output"): unread,
}


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row[0]} {row[2][:30]}")
def test_a_line_of_the_table_is_true(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: tuple[int, str, str]
) -> None:
    code, error, what = row
    is_signal = code > 128 and code != program.BROKEN_PIPE
    (scene,) = (
        [signalled] if is_signal else [s for (c, w), s in SCENES.items() if c == code and what.startswith(w)]
    )
    found, said = scene(Scene(whole, tmp_path, monkeypatch, row))
    assert (found, "Traceback" in said) == (code, False), said
    if error:
        assert getattr(errors, error).exit_code == code
        assert (said.count("pdsearch: "), " -> " in said) == (1, True), said
        assert said.count("\n  -> ") <= 1, said
    else:
        assert "pdsearch: " not in said, said
