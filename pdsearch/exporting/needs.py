"""External requirements of an exported configuration: images, weights, storage, user code."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pdsearch.data.options import lasting_root
from pdsearch.io import Place
from pdsearch.specs import DataSpec, TrialSpec
from pdsearch.study_record import StudyRecord
from pdsearch.user_code import is_dotted

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Needs:
    """External files and code that a configuration refers to.

    Args:
        storage: Where its study is written, and where earlier artifacts are found.
        root: `data.root`, if it is a path.
        checkpoint: File of the teacher's weights, if any.
        code: User code by dotted name, with its folder; None if it is installed, or the folder was not recorded.
    """

    storage: str
    root: str | None
    checkpoint: str | None
    code: Mapping[str, str | None]

    def command(self, config: str = CONFIG) -> str:
        """Return the command that runs the configuration on this machine, from any working directory."""
        return _run(self._folders, config)

    @property
    def elsewhere(self) -> str:
        """The command for another machine; FOLDER and FILE stand for the local paths of what `lines` lists."""
        moved = {"storage": "FOLDER", "data.root": self.root and "FOLDER"}
        moved["teacher.checkpoint"] = self.checkpoint and "FILE"
        code = ["FOLDER" for _ in self._folders]
        return " ".join([_run(code, CONFIG), *(f"--set {key}={to}" for key, to in moved.items() if to)])

    @property
    def _folders(self) -> list[str]:
        """The folders of user code, each once."""
        return [*dict.fromkeys(folder for folder in self.code.values() if folder is not None)]

    def lines(self) -> Iterator[str]:
        """Yield the requirements, a line each."""
        if self.root is not None:
            yield f"images: `{self.root}` (`data.root`)"
        if self.checkpoint is not None:
            yield f"the teacher's weights: `{self.checkpoint}` (`teacher.checkpoint`)"
        for name, folder in self.code.items():
            found = f"importable, found in `{folder}`" if folder else "importable"
            yield f"code of the user's own: `{name}`, {found}"
        yield f"results and artifacts: `{self.storage}` (`storage`), made where it is missing"


def _run(code: Sequence[str], config: str) -> str:
    start = f"PYTHONPATH={shlex.quote(':'.join(code))} " if code else ""
    return f"{start}pdsearch run {shlex.quote(config)}"


def from_anywhere(spec: TrialSpec) -> TrialSpec:
    """Return a trial with paths that do not depend on the working directory.

    New records have such paths already; relative paths of older records are resolved against the working directory.
    """
    root = lasting_root(spec.data)
    file = spec.teacher.checkpoint
    there = root if root is not None and Path(root).exists() else spec.data.root
    file = str(Path(file).absolute()) if file is not None and Path(file).exists() else file
    return replace(spec, data=replace(spec.data, root=there), teacher=replace(spec.teacher, checkpoint=file))


def needs_of(spec: TrialSpec, storage: str, about: StudyRecord) -> Needs:
    """Return the external requirements of a trial's configuration.

    Args:
        spec: The trial, from `from_anywhere`.
        storage: Storage in which it runs.
        about: What its study is.
    """
    named = [
        spec.teacher.model,
        spec.student.model,
        spec.prune.method if spec.prune else "",
        spec.distill.loss,
    ]
    named += [str(value) for option, value in spec.data.options if option == "function"]
    return Needs(
        storage,
        root=spec.data.root if _is_path(spec.data) else None,
        checkpoint=spec.teacher.checkpoint,
        code={name: about.code_folders.get(name) for name in dict.fromkeys(named) if is_dotted(name)},
    )


def _is_path(data: DataSpec) -> bool:
    """Return whether the recorded `data.root` is a path; the user's own function may take any string or URL."""
    return data.source != "callable" or (data.root or "").startswith(("/", "~"))


def storage_of(study: Place, artifacts: Place) -> str:
    """Return the storage in which a trial finds its artifacts."""
    return str(artifacts.parent if artifacts.name == "artifacts" else study.parent)
