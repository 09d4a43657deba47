"""Load a trained student, or its teacher, from the artifacts of its study, with the metadata of its images."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from pdsearch.analysis.study_table import Row
from pdsearch.artifacts import ArtifactStore, Entry
from pdsearch.data.dataset.views import centre_crop
from pdsearch.errors import ConfigError, StorageError
from pdsearch.exporting.student_file import Card
from pdsearch.input_spec import InputSpec
from pdsearch.io.durable import storage_errors
from pdsearch.models import without_weights
from pdsearch.pipeline.cache import TENSORS, tensors
from pdsearch.pipeline.keys import data_key
from pdsearch.pipeline.networks import MASK
from pdsearch.records.codec import frozen

_BATCH = 64

Answer = Callable[[Tensor], Tensor]
"""answer(inputs as they are stored) -> logits (B, classes)."""


def trained_student(row: Row, store: ArtifactStore) -> tuple[Mapping[str, Tensor], Card] | None:
    """Return a student's weights and metadata; None for a trial that did not finish training one.

    Raises:
        StorageError: An artifact is missing or broken.
    """
    facts = row.record.student
    if row.student_artifact is None or facts is None:
        return None
    student = _found(store, "student", row.student_artifact, row.id)
    widths = {name: kept for name, (kept, _) in facts.widths.items()}
    card = _card(row, facts.model, facts.options, widths, store)
    return _tensors(student), replace(card, key=row.key, seed=row.student_seed)


def trained_teacher(row: Row, store: ArtifactStore) -> tuple[Mapping[str, Tensor], Card]:
    """Return the weights and metadata of the teacher, pruned as it taught a student; pruned weights are zeros.

    Raises:
        ConfigError: It had no teacher.
        StorageError: An artifact is missing or broken.
    """
    if row.teacher_key is None:
        raise ConfigError(f"{row.id} has no teacher to export", where="--teacher", hint="leave it out")
    spec = row.record.spec
    stage = "teacher" if spec.prune is None else "prune"
    teacher = _found(store, stage, row.teacher_key, row.id)
    kept = teacher.meta.get("kept")
    channels = kept.items() if isinstance(kept, dict) else ()
    widths = {name: len(left) for name, left in channels if isinstance(left, list)}
    options = dict(without_weights(spec.teacher.model, spec.teacher.options))
    card = _card(row, spec.teacher.model, options, widths, store)
    weights = {name: value for name, value in _tensors(teacher).items() if not name.startswith(MASK)}
    seed, sparsity = spec.teacher.seed, row.teacher_sparsity or 0.0
    return weights, replace(card, key=row.teacher_key, seed=seed, sparsity=sparsity)


def accuracy_of(answer: Answer, row: Row, card: Card, store: ArtifactStore) -> dict[str, float]:
    """Return the accuracy of a network on the images on which a trial was measured: "val", "test", or both; in [0, 1].

    Raises:
        StorageError: An artifact is missing or broken.
    """
    known = {"val": row.val_accuracy, "test": row.test_accuracy}
    path = _found(store, "data", data_key(row.record.spec.data), row.id).path(TENSORS)
    shares: dict[str, float] = {}
    with storage_errors(path), safe_open(path, framework="pt") as file, torch.inference_mode():
        for part in (part for part, share in known.items() if share is not None):
            images, labels = file.get_slice(f"{part}.images"), file.get_tensor(f"{part}.labels")
            right = 0
            for start in range(0, len(labels), _BATCH):
                batch = images[start : start + _BATCH]
                batch = centre_crop(batch, card.image_size) if card.stored else batch
                right += int((answer(batch).argmax(1) == labels[start : start + _BATCH]).sum())
            shares[part] = right / len(labels)
    return shares


def _card(
    row: Row, model: str, options: Mapping[str, object], widths: Mapping[str, int], store: ArtifactStore
) -> Card:
    data = row.record.spec.data
    entry = _found(store, "data", data_key(data), row.id)
    path = entry.path(TENSORS)
    # The images may be gigabytes, so only their shape and statistics are read.
    with storage_errors(path), safe_open(path, framework="pt") as file:
        mean, std = (tuple(file.get_tensor(name).tolist()) for name in ("mean", "std"))
        images = file.get_slice("train.images")
        _, *shape = images.get_shape()
        stored = (shape[1], shape[2]) if data.crop else None
        shape = [shape[0], data.crop, data.crop] if data.crop else shape
        inputs = InputSpec(tuple(shape), "uint8" if images.get_dtype() == "U8" else "float32")
    classes = entry.meta["classes"]
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    known = tuple(sorted((name, frozen(value)) for name, value in options.items()))
    largest: Any = entry.meta.get("largest")
    white = (float(largest[0]), float(largest[1])) if largest else None
    shape_of = tuple(sorted(widths.items()))
    return Card(model, known, names, inputs, mean, std, "", shape_of, stored=stored, largest=white)


def _tensors(entry: Entry) -> dict[str, Tensor]:
    with storage_errors(entry.path(TENSORS)):
        return tensors(entry)


def _found(store: ArtifactStore, stage: str, key: str, trial: str) -> Entry:
    entry = store.find(stage, key)
    if entry is None:
        raise StorageError(
            f"the {stage} artifact {key[:12]} of {trial} is missing or broken",
            hint=f"move trials/{trial}.finished.json away and run the study again: only what is missing is computed",
        )
    return entry
