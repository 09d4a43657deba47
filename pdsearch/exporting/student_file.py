"""File of a trained student: weights, with metadata on its architecture and its inputs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pdsearch.data import normalise
from pdsearch.errors import ConfigError, DataError, StorageError
from pdsearch.input_spec import InputSpec
from pdsearch.io.durable import storage_errors
from pdsearch.models import load_tensors, without_weights
from pdsearch.models.registry import build_arguments, models
from pdsearch.pruning import build_narrow
from pdsearch.specs import Json, Params

__all__ = [
    "STUDENT_FILE",
    "Card",
    "Preprocess",
    "load_preprocess",
    "load_student",
    "read_card",
    "save_student",
]

STUDENT_FILE = "student.safetensors"
_FORMAT = "pdsearch student 1"


@dataclass(frozen=True)
class Card:
    """Metadata of a student's file.

    Args:
        model: Registered model name.
        options: Further arguments of the model.
        classes: Class names, by index of the logits.
        inputs: Shape and type of an image, or other input.
        mean: Mean by channel, in the inputs' own units (0 to 255 for images).
        std: Standard deviation likewise.
        key: Key of the trial that trained it.
        widths: Layers narrower than the model's, as pairs of a weight's name and its number of channels.
    """

    model: str
    options: Params
    classes: tuple[str, ...]
    inputs: InputSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    key: str
    widths: tuple[tuple[str, int], ...] = ()

    @property
    def channels(self) -> int:
        """Channels of an input."""
        return self.inputs.channels

    @property
    def image_size(self) -> int:
        """Height and width of an image, in pixels; the smaller of them if it is not square."""
        return self.inputs.side

    @property
    def noun(self) -> str:
        """What its inputs are called: "images" or "inputs"."""
        return self.inputs.noun

    def build_arguments(self) -> dict[str, Any]:
        """Return what its model is built with besides its options."""
        classes = len(self.classes)
        try:
            return build_arguments(models.get(self.model), classes, self.inputs.shape)
        except ConfigError:  # The user's code is not here.
            if self.inputs.is_square:
                return {"num_classes": classes, "channels": self.channels, "image_size": self.image_size}
            return {"num_classes": classes, "input_shape": self.inputs.shape}

    def as_json(self) -> dict[str, Json]:
        """Return its metadata as plain values; square images as before there were other inputs."""
        inputs: dict[str, Json] = {"channels": self.channels, "image_size": self.image_size}
        if not (self.inputs.is_image and self.inputs.is_square):
            inputs = {"input_shape": list(self.inputs.shape), "input_dtype": self.inputs.dtype}
        return {
            "model": self.model,
            "options": dict(self.options),
            "classes": list(self.classes),
            **inputs,
            "mean": list(self.mean),
            "std": list(self.std),
            "key": self.key,
            "widths": dict(self.widths),
        }


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of inputs for a student: normalisation by mean and standard deviation.

    Args:
        inputs: Shape and type of an image, or other input.
        mean: float32 (C,).
        std: float32 (C,).
    """

    inputs: InputSpec
    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return (images - mean) / std, float32.

        Args:
            images: uint8 (B, C, H, W), values 0 to 255, or float32 (B, ...), of the shape the student was trained on.

        Raises:
            DataError: They are of another type or shape.
        """
        if images.dtype != getattr(torch, self.inputs.dtype) or tuple(images.shape[1:]) != self.inputs.shape:
            shape = ", ".join(map(str, self.inputs.shape))
            hint = (
                "decode to 0..255, resize, and stack to a batch"
                if self.inputs.is_image
                else "stack them to a batch of float32"
            )
            raise DataError(
                f"{self.inputs.noun} are {images.dtype} {tuple(images.shape)}, the student"
                f" wants torch.{self.inputs.dtype} (any number, {shape})",
                hint=hint,
            )
        return normalise(images, self.mean.to(images.device), self.std.to(images.device))


def save_student(path: Path, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write a student's file.

    Raises:
        StorageError: It cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with storage_errors(path):
        save_file(
            plain, path, metadata={"format": _FORMAT, "student": json.dumps(card.as_json(), sort_keys=True)}
        )
        path.chmod(path.parent.stat().st_mode & 0o666)  # safetensors lets only the owner read it


def read_card(folder: str | Path) -> Card:
    """Read the metadata of an exported student's file.

    Raises:
        StorageError: There is no such file, or it is not an exported student.
    """
    return _open(Path(folder) / STUDENT_FILE)[0]


def load_student(folder: str | Path) -> nn.Module:
    """Return an exported student in evaluation mode, on the CPU; logits = student(preprocess(images)).

    Args:
        folder: A folder written by `pdsearch export`.

    Raises:
        StorageError: There is no such file, or it is not an exported student.
        ConfigError: Its model is not known in this environment.
    """
    path = Path(folder) / STUDENT_FILE
    card, weights = _open(path)
    model = build_narrow(
        card.model,
        num_classes=len(card.classes),
        input_shape=card.inputs.shape,
        seed=0,
        options=without_weights(card.model, card.options),
        widths=card.widths,
    )
    try:
        load_tensors(model, weights)
    except RuntimeError as error:
        raise StorageError(f"the weights do not fit {card.model}: {error}", where=str(path)) from error
    return model.eval()


def load_preprocess(folder: str | Path) -> Preprocess:
    """Return the preprocessing of images for `load_student`'s network.

    Raises:
        StorageError: There is no such file, or it is not an exported student.
    """
    card = read_card(folder)
    return Preprocess(card.inputs, torch.tensor(card.mean), torch.tensor(card.std))


def _open(path: Path) -> tuple[Card, dict[str, Tensor]]:
    with storage_errors(path):
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("format") != _FORMAT:
                    raise StorageError("is not an exported student", where=str(path))
                return _card(json.loads(about["student"])), {
                    name: file.get_tensor(name) for name in list(file.keys())
                }
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            hint = "export it again: pdsearch export STUDY --force"
            raise StorageError(f"is not an exported student: {error}", where=str(path), hint=hint) from error


def _card(about: Mapping[str, Any]) -> Card:
    return Card(
        model=str(about["model"]),
        options=tuple(sorted((name, _frozen(value)) for name, value in about["options"].items())),
        classes=tuple(map(str, about["classes"])),
        inputs=_inputs(about),
        mean=tuple(map(float, about["mean"])),
        std=tuple(map(float, about["std"])),
        key=str(about["key"]),
        widths=tuple(sorted((str(name), int(width)) for name, width in about.get("widths", {}).items())),
    )


def _inputs(about: Mapping[str, Any]) -> InputSpec:
    if "input_shape" in about:
        return InputSpec(tuple(map(int, about["input_shape"])), str(about["input_dtype"]))
    return InputSpec((int(about["channels"]), int(about["image_size"]), int(about["image_size"])))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
