"""Export of a study: a folder for each of the best teachers, with configuration, student and model card."""

import json
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pdsearch.analysis.footnotes import shortfall
from pdsearch.analysis.forms import as_plain
from pdsearch.analysis.ranked import Ranked, Ranking
from pdsearch.analysis.ranking import line_of, rank_teachers
from pdsearch.analysis.study_table import Row, read_study
from pdsearch.artifacts import ArtifactStore, open_store
from pdsearch.errors import ConfigError, PdsearchError, StorageError
from pdsearch.exporting.config_file import (
    CONFIG,
    Needs,
    config_of,
    storage_of,
)
from pdsearch.exporting.model_card import Built, model_card
from pdsearch.exporting.onnx_file import onnx_answer, require_onnx, save_onnx
from pdsearch.exporting.student_file import (
    STUDENT_FILE,
    TEACHER_FILE,
    load_network,
    preprocess_of,
    save_network,
)
from pdsearch.exporting.trained import accuracy_of, trained_student, trained_teacher
from pdsearch.io import Place, resolved, subfolders
from pdsearch.io.durable import storage_errors
from pdsearch.io.record_files import BrokenRecord
from pdsearch.models import constants_of
from pdsearch.records.study_record import StudyRecord
from pdsearch.user_code import look_in

_FAR = 0.1
"""Difference of accuracy that neither another precision nor another machine explains."""


@dataclass(frozen=True)
class _Origin:
    """The study to export, and what of it: `storage` is where exported configurations run again."""

    ranking: Ranking
    about: StudyRecord
    store: ArtifactStore
    storage: str
    onnx: bool
    teacher: bool


@dataclass(frozen=True)
class Exported:
    """One exported folder, and the command that runs its configuration again from the export's working directory."""

    folder: Path
    command: str


def export_study(
    folder: str | Place,
    out: str | Path,
    *,
    top: int = 1,
    trials: Sequence[str] = (),
    force: bool = False,
    artifacts: str | Place | None = None,
    onnx: bool = False,
    teacher: bool = False,
    left_out: Callable[[Sequence[BrokenRecord]], None] = lambda _: None,
) -> list[Exported]:
    """Export the best teachers' configurations and students of a study.

    Args:
        folder: The study's folder.
        out: Parent of the exported folders.
        top: Number of teachers, best first.
        trials: Ids of complete trials to export instead, such as the members of a front.
        force: Replace exported folders of the same name.
        artifacts: The artifacts' folder; None means the one beside the study.
        onnx: Write every network as ONNX too.
        teacher: Write the teacher of every student too, pruned as it taught.
        left_out: Called with the study's files that are no valid records.

    Returns:
        The exported folders, best first, or in the order of `trials`.

    Raises:
        ConfigError: There is nothing to export, a folder exists, a package that ONNX needs is missing, or a student had
            no teacher.
        PdsearchError: A network cannot be written as ONNX.
        StorageError: An artifact is missing, or a folder cannot be written.
    """
    if onnx:
        require_onnx()
    study = read_study(folder)
    left_out(study.broken)
    look_in(*study.about.code_folders.values())
    ranking = rank_teachers(study)
    named = [*dict.fromkeys(trials)]
    chosen = [line_of(study, ranking, trial) for trial in named] or ranking.top(top)
    if not chosen:
        missed = shortfall(study, ranking)
        hint = "search on, or loosen the constraint in a study of another name" if missed else "run it first"
        raise ConfigError(missed or "the study has no finished trial to export", where=str(folder), hint=hint)
    kept = resolved(artifacts) if artifacts else resolved(folder).parent / "artifacts"
    if any(teacher or row.best.student_artifact for row in chosen) and not subfolders(kept):
        hint = (
            "of a copied study, name its storage's: --artifacts runs/artifacts; are they gone, run it again"
        )
        raise StorageError("no artifacts lie here", where=str(kept), hint=hint)
    storage = storage_of(resolved(folder), kept)
    origin = _Origin(ranking, study.about, open_store(kept), storage, onnx, teacher)
    return [
        _export(row, origin, Path(out) / _name(place, row), force=force)
        for place, row in zip(named or map(str, range(1, len(chosen) + 1)), chosen, strict=True)
    ]


def _export(row: Ranked, origin: _Origin, target: Path, *, force: bool) -> Exported:
    """Write one exported folder atomically: under a temporary name, then renamed."""
    if target.exists() and not force:
        raise ConfigError(
            "is there already", where=str(target), hint="export with --force, or to another folder"
        )
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    with storage_errors(target):
        try:
            draft.mkdir(parents=True)
            needs = _write(draft, row, origin)
            _replace(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Exported(target, needs.command(str(target / CONFIG)))


def _write(folder: Path, row: Ranked, origin: _Origin) -> Needs:
    ranking, record = origin.ranking, row.best.record
    config, needs = config_of(record, origin.storage, origin.about)
    built: dict[str, Built] = {}
    networks = {STUDENT_FILE: trained_student(row.best, origin.store)}
    if origin.teacher:
        networks[TEACHER_FILE] = trained_teacher(row.best, origin.store)
    for name, found in networks.items():
        if found is not None:
            path = folder / name
            save_network(path, *found)
            built[path.stem] = _built(path, row.best, origin.store, onnx=origin.onnx)
    result: dict[str, Any] = {
        "format": 1,
        "study": ranking.study,
        **as_plain(row),
        "exported": {name: dict(form) for made in built.values() for name, form in made.accuracy.items()},
        "versions": dict(record.versions),
        "footer": list(ranking.footer),
    }
    texts = {
        CONFIG: config,
        "card.md": model_card(
            row, ranking.study, student=built.get("student"), teacher=built.get("teacher"), needs=needs
        ),
        "result.json": json.dumps(result, indent=2, allow_nan=False, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return needs


def _built(path: Path, row: Row, store: ArtifactStore, *, onnx: bool) -> Built:
    """Return a written network with its accuracy, measured of the file as it ships."""
    network, card = load_network(path)
    preprocess, constants = preprocess_of(card), bool(constants_of(network))
    accuracy = {path.name: accuracy_of(lambda inputs: network(preprocess(inputs)), row, card, store)}
    _check(accuracy[path.name], row, path.stem)
    if not onnx:
        return Built(card, accuracy, constants)
    deviation, file = save_onnx(path), path.with_suffix(".onnx")
    accuracy[file.name] = accuracy_of(onnx_answer(file, card), row, card, store)
    return Built(card, accuracy, constants, deviation)


def _check(accuracy: Mapping[str, float], row: Row, role: str) -> None:
    """Refuse a network that, rebuilt from its file, is not the one that was trained.

    Raises:
        PdsearchError: Its accuracy is far from the recorded one.
    """
    recorded = row.val_accuracy if role == "student" else row.teacher_val_accuracy
    now = accuracy.get("val")
    if recorded is not None and now is not None and abs(now - recorded) > _FAR:
        what = f"the {role} of {row.id}, rebuilt from its file, has {100 * now:.2f} % of the validation images right"
        hint = "what training changes beside parameters and buffers is lost: keep it in register_buffer"
        raise PdsearchError(f"{what}, and had {100 * recorded:.2f} % when it was trained", hint=hint)


def _replace(draft: Path, target: Path) -> None:
    if not target.exists():
        draft.rename(target)
        return
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _name(place: str, row: Ranked) -> str:
    words = re.sub(r"[^A-Za-z0-9._]+", "-", row.label.replace("%", "")).strip("-.")
    return f"{place}-{words[:60]}"
