"""The space file of an exported trial, every field fixed, and what it needs: images, weights, storage, user code."""

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pdsearch.data.options import lasting_root
from pdsearch.io import Place
from pdsearch.records.codec import encode
from pdsearch.records.study_record import StudyRecord
from pdsearch.records.trial_record import AskedRecord, TrialRecord
from pdsearch.specs import AtInit, DataSpec, Json, NoRecovery, Params, TrialSpec
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


def config_of(record: AskedRecord | TrialRecord, storage: str, about: StudyRecord) -> tuple[str, Needs]:
    """Return the space file that runs one trial again, and what it needs."""
    ran = record if isinstance(record, TrialRecord) else None
    gpu = 1 if ran and (ran.device or "").startswith("cuda") else 0
    threads = int(ran.versions.get("threads", 1)) if ran else 1
    spec, name = from_anywhere(record.spec), f"{about.study[:40]}-{record.key[:12]}"
    needs = needs_of(spec, storage, about)
    document = pinned_space(spec, study=name, storage=storage, resources={"cpu": threads, "gpu": gpu})
    head = (
        f"# A trial of the study {about.study}, every parameter fixed. This runs it again, from any folder:",
        f"#     {needs.command()}",
        "# and this on another machine, with what card.md lists in place of FOLDER and FILE:",
        f"#     {needs.elsewhere}",
    )
    return "\n".join((*head, to_yaml(document))), needs


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
    """Return the external requirements of a trial's configuration."""
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


_PLAIN_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./ -]*")


def pinned_space(
    spec: TrialSpec,
    *,
    study: str,
    storage: str = "runs/",
    resources: Mapping[str, float] | None = None,
) -> dict[str, Json]:
    """Return the sections of a space file that describes one trial: `resolve({})` gives its specification.

    Hashes of data, checkpoint and code are not in it: as in every study, they are computed from the files.

    Args:
        spec: The trial.
        study: Name of the study that runs it again.
        storage: Storage of that study.
        resources: Resources of the trial, e.g. {"cpu": 4, "gpu": 1}; None means the defaults.
    """
    document: dict[str, Json] = {
        "study": study,
        "data": _section(spec.data, drop=("fingerprint",)),
        "teacher": _section(spec.teacher, drop=("recipe", "fingerprint", "code")),
        "student": _section(spec.student, drop=("code",)),
        "train": _recipes(spec),
        "prune": {"method": "none"} if spec.prune is None else _section(spec.prune, drop=("recipe", "code")),
        "distill": {
            **_section(spec.distill, drop=("recipe", "params", "code", "replicas")),
            **_plain_pairs(spec.distill.params),
        },
        "search": {"trials": 1},
        "confirm": "off",
    }
    if resources:
        document["resources"] = dict(resources)
    return {**document, "precision": spec.precision, "storage": storage}


def _recipes(spec: TrialSpec) -> dict[str, Json]:
    recipes: dict[str, Json] = {"distill": _section(spec.distill.recipe)}
    if spec.teacher.trained_here:
        recipes = {"teacher": _section(spec.teacher.recipe), **recipes}
    # With `at: init` the teacher's recipe is used, with `recovery: none` none is: `train.recover` is not read.
    if spec.prune is not None and not isinstance(spec.prune.after_round, AtInit | NoRecovery):
        recipes["recover"] = _section(spec.prune.recipe)
    return recipes


def _section(spec: Any, drop: tuple[str, ...] = ()) -> dict[str, Json]:
    section: dict[str, Json] = {}
    for item in dataclasses.fields(spec):
        value = getattr(spec, item.name)
        if item.name in drop or value is None or value == "":
            continue
        named = item.name in ("options", "params")
        section[item.name] = _plain_pairs(value) if named else encode(value)
    return {name: value for name, value in section.items() if value != {}}


def _plain_pairs(params: Params) -> dict[str, Json]:
    return {name: encode(value) for name, value in params}


class _Dumper(yaml.SafeDumper):
    """YAML dumper that quotes strings which YAML 1.2 would read as numbers."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if _PLAIN_WORD.fullmatch(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def to_yaml(document: Mapping[str, Json]) -> str:
    """Return sections as the text of a space file, in their order."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100)
