"""File of a trained student: weights, with metadata on its architecture and input images."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pdsearch.errors import DataError, StorageError
from pdsearch.io.durable import storage_errors
from pdsearch.models import load_tensors, without_weights
from pdsearch.pruning import build_narrow
from pdsearch.specs import Params

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
        channels: Channels of an image.
        image_size: Height and width of an image, in pixels.
        mean: Mean by channel, in the images' own units (0 to 255).
        std: Standard deviation likewise.
        key: Key of the trial that trained it.
        widths: Layers narrower than the model's, as pairs of a weight's name and its number of channels.
    """

    model: str
    options: Params
    classes: tuple[str, ...]
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    key: str
    widths: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of images for a student: normalisation by mean and standard deviation.

    Args:
        channels: Channels of an image.
        image_size: Height and width of an image, in pixels.
        mean: float32 (C,).
        std: float32 (C,).
    """

    channels: int
    image_size: int
    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Return (images - mean) / std, float32 (B, C, H, W).

        Args:
            images: uint8 (B, C, H, W), values 0 to 255, of the size the student was trained on.

        Raises:
            DataError: The images have another type or size.
        """
        wanted = (self.channels, self.image_size, self.image_size)
        if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != wanted:
            raise DataError(
                f"images are {images.dtype} {tuple(images.shape)}, the student wants torch.uint8"
                f" (any number, {', '.join(map(str, wanted))})",
                hint="decode to 0..255, resize, and stack to a batch",
            )
        shape = (1, -1, 1, 1)
        mean, std = self.mean.to(images.device).view(shape), self.std.to(images.device).view(shape)
        return images.float().sub_(mean).div_(std)


def save_student(path: Path, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write a student's file.

    Raises:
        StorageError: It cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    about = vars(card) | {"options": dict(card.options), "widths": dict(card.widths)}
    with storage_errors(path):
        save_file(plain, path, metadata={"format": _FORMAT, "student": json.dumps(about, sort_keys=True)})
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
        input_shape=(card.channels, card.image_size, card.image_size),
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
    return Preprocess(card.channels, card.image_size, torch.tensor(card.mean), torch.tensor(card.std))


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
        channels=int(about["channels"]),
        image_size=int(about["image_size"]),
        mean=tuple(map(float, about["mean"])),
        std=tuple(map(float, about["std"])),
        key=str(about["key"]),
        widths=tuple(sorted((str(name), int(width)) for name, width in about.get("widths", {}).items())),
    )


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
