"""Load a trained student from the artifacts of its study, with the metadata of its images."""

import json
from collections.abc import Mapping

from safetensors import safe_open
from torch import Tensor

from pdsearch.analysis import Row
from pdsearch.artifacts import ArtifactStore, Entry
from pdsearch.errors import StorageError
from pdsearch.exporting.student_file import Card
from pdsearch.input_spec import InputSpec
from pdsearch.io.durable import storage_errors
from pdsearch.pipeline.keys import data_key
from pdsearch.specs import DataSpec, Params, spec_from_json

__all__ = ["trained_student"]

_TENSORS = "tensors.safetensors"


def trained_student(row: Row, store: ArtifactStore) -> tuple[Mapping[str, Tensor], Card] | None:
    """Return a student's weights and metadata; None for a trial that did not finish training one.

    Args:
        row: The trial.
        store: The artifacts of its study.

    Raises:
        StorageError: An artifact is missing or broken.
    """
    if row.student_artifact is None or row.student_model is None:
        return None
    student = _found(store, "student", row.student_artifact, row.id)
    data = spec_from_json(json.loads(row.spec)).data
    return _tensors(student), _card(row, row.student_model, data, store)


def _card(row: Row, model: str, data: DataSpec, store: ArtifactStore) -> Card:
    entry = _found(store, "data", data_key(data), row.id)
    path = entry.path(_TENSORS)
    # The images may be gigabytes, so only their shape and statistics are read.
    with storage_errors(path), safe_open(path, framework="pt") as file:
        mean, std = (tuple(file.get_tensor(name).tolist()) for name in ("mean", "std"))
        images = file.get_slice("train.images")
        _, *shape = images.get_shape()
        shape = [shape[0], data.crop, data.crop] if data.crop else shape
        inputs = InputSpec(tuple(shape), "uint8" if images.get_dtype() == "U8" else "float32")
    classes = entry.meta["classes"]
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    widths = tuple(sorted((name, kept) for name, (kept, _) in json.loads(row.student_widths).items()))
    return Card(model, _options(row), names, inputs, mean, std, row.key, widths)


def _options(row: Row) -> Params:
    return tuple(sorted((name, _frozen(value)) for name, value in json.loads(row.student_options).items()))


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _tensors(entry: Entry) -> dict[str, Tensor]:
    path = entry.path(_TENSORS)
    with storage_errors(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in list(file.keys())}


def _found(store: ArtifactStore, stage: str, key: str, trial: str) -> Entry:
    entry = store.find(stage, key)
    if entry is None:
        raise StorageError(
            f"the {stage} artifact {key[:12]} of {trial} is missing or broken",
            hint=f"move trials/{trial}.finished.json away and run the study again: only what is missing is computed",
        )
    return entry
