"""What must be where so that an exported configuration runs again: images, weights, storage, own code."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pdsearch.data.options import lasting_root
from pdsearch.io import Place
from pdsearch.specs import DataSpec, TrialSpec
from pdsearch.user_code import is_dotted

__all__ = ["CONFIG", "Needs", "from_anywhere", "needs_of", "storage_of"]

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Needs:
    """What a configuration names and does not hold.

    Args:
        storage: Where its study goes, and where what it needs is found if it was computed before.
        root: `data.root`, if it is a path.
        checkpoint: File of the teacher's weights, if any.
        code: Own code by dotted name, with the folder it lay in; None where it is installed, or nobody noted it.
    """

    storage: str
    root: str | None
    checkpoint: str | None
    code: Mapping[str, str | None]

    def command(self, config: str = CONFIG) -> str:
        """Return the command that runs the configuration on this machine, from whichever folder."""
        return _run(self._folders, config)

    @property
    def elsewhere(self) -> str:
        """The command for another machine: FOLDER and FILE stand for what `lines` says, wherever it lies there."""
        moved = {"storage": "FOLDER", "data.root": self.root and "FOLDER"}
        moved["teacher.checkpoint"] = self.checkpoint and "FILE"
        code = ["FOLDER" for _ in self._folders]
        return " ".join([_run(code, CONFIG), *(f"--set {key}={to}" for key, to in moved.items() if to)])

    @property
    def _folders(self) -> list[str]:
        """The folders of own code, each once."""
        return [*dict.fromkeys(folder for folder in self.code.values() if folder is not None)]

    def lines(self) -> Iterator[str]:
        """Say what must be there, a line each."""
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
    """Return a trial whose paths mean the same from whichever folder one works.

    Trials are recorded so. What an older record names relative to a folder it does not name is looked for here.
    """
    root = lasting_root(spec.data)
    file = spec.teacher.checkpoint
    there = root if root is not None and Path(root).exists() else spec.data.root
    file = str(Path(file).absolute()) if file is not None and Path(file).exists() else file
    return replace(spec, data=replace(spec.data, root=there), teacher=replace(spec.teacher, checkpoint=file))


def needs_of(spec: TrialSpec, storage: str, about: Mapping[str, Any]) -> Needs:
    """Return what a trial's configuration needs.

    Args:
        spec: The trial, of `from_anywhere`.
        storage: Where it runs.
        about: What study.json holds.
    """
    named = [
        spec.teacher.model,
        spec.student.model,
        spec.prune.method if spec.prune else "",
        spec.distill.loss,
    ]
    named += [str(value) for option, value in spec.data.options if option == "function"]
    folders = about.get("code_folders", {})
    return Needs(
        storage,
        root=spec.data.root if _is_path(spec.data) else None,
        checkpoint=spec.teacher.checkpoint,
        code={name: folders.get(name) for name in dict.fromkeys(named) if is_dotted(name)},
    )


def _is_path(data: DataSpec) -> bool:
    """Say whether `data.root`, recorded whole, is a path; a function of the user's own may take any word or URL."""
    return data.source != "callable" or (data.root or "").startswith(("/", "~"))


def storage_of(study: Place, artifacts: Place) -> str:
    """Return the storage in which a trial of a study finds what was computed for it: that of the artifacts."""
    return str(artifacts.parent if artifacts.name == "artifacts" else study.parent)
