"""Files of a trained student and of its teacher: weights, with metadata on the architecture and the inputs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pdsearch.data.dataset.views import centre_crop, normalise
from pdsearch.data.readers.decode import FILTER, Largest, read_one
from pdsearch.errors import ConfigError, DataError, StorageError
from pdsearch.input_spec import InputSpec
from pdsearch.io.durable import check_regular, storage_errors
from pdsearch.models import build, with_plain_weights, without_weights
from pdsearch.models.registry import build_arguments, models
from pdsearch.pipeline.networks import load_network_tensors
from pdsearch.pruning import narrow
from pdsearch.records.codec import decode, encode
from pdsearch.specs import Json, Params

if TYPE_CHECKING:
    from PIL.Image import Image

STUDENT_FILE = "student.safetensors"
TEACHER_FILE = "teacher.safetensors"

Array: TypeAlias = NDArray[np.generic]


_LATER = ("sparsity", "stored", "seed", "largest")
"""Fields of a card that are left out where they say nothing: they were added one by one."""


@dataclass(frozen=True)
class Card:
    """Metadata of a student's file, or a teacher's.

    Args:
        model: Registered model name.
        options: Further arguments of the model.
        classes: Class names, by index of the logits.
        inputs: Shape and type of an image, or other input.
        mean: Mean by channel, in the inputs' own units (0 to 255 for images).
        std: Standard deviation likewise.
        key: Key of the trial that trained it.
        widths: Layers narrower than the model's, as pairs of a weight's name and its number of channels.
        sparsity: Share of the prunable weights that pruning took, in [0, 1); of a teacher.
        stored: Height and width of images before `data.crop` took their centre; None where it did not.
        largest: Largest integer and floating-point value of images of more than 8 bits; None where there were none.
        seed: Seed that the network was built with; constants that no state dict holds may depend on it.
    """

    extensible: ClassVar[bool] = True

    model: str
    options: Params
    classes: tuple[str, ...]
    inputs: InputSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    key: str
    widths: tuple[tuple[str, int], ...] = ()
    sparsity: float = 0.0
    stored: tuple[int, int] | None = None
    seed: int = 0
    largest: tuple[float, float] | None = None

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

    def reading(self) -> str:
        """Return how a single image is brought to the shape of the inputs, for the model card."""
        _, height, width = self.inputs.shape
        kind = "grey" if self.channels == 1 else "RGB"
        tall, wide = self.stored or (height, width)
        cut = f", then its centre {width}x{height} cropped" if self.stored else ""
        if tall != wide:
            return f"made upright, {kind}; it must have {wide}x{tall} pixels{cut}"
        return f"made upright, {kind}, its middle square resized to {wide} pixels by Pillow's `{FILTER}` filter{cut}"

    def build_arguments(self) -> dict[str, object]:
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
        inputs: dict[str, Json] = {"input_shape": list(self.inputs.shape), "input_dtype": self.inputs.dtype}
        if self.inputs.is_image and self.inputs.is_square:
            inputs = {"channels": self.channels, "image_size": self.image_size, "filter": FILTER}
        pairs = {"options": dict(self.options), "widths": dict(self.widths)}
        form: dict[str, Json] = {**encode(self), **pairs, **inputs}
        del form["inputs"]
        return {name: value for name, value in form.items() if value or name not in _LATER}


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of inputs for a student, as in training: decoding, cropping, normalisation by mean and deviation.

    Args:
        inputs: Shape and type of an image, or other input.
        mean: float32 (C,).
        std: float32 (C,).
        stored: Height and width that images had before their centre was taken; None where it was not.
        largest: Largest integer and floating-point value of the set's images of more than 8 bits.
    """

    inputs: InputSpec
    mean: Tensor
    std: Tensor
    stored: tuple[int, int] | None = None
    largest: tuple[float, float] | None = None

    def __call__(self, images: "Tensor | Array | str | Path | Image") -> Tensor:
        """Return (images - mean) / std, float32 (B, ...).

        Args:
            images: uint8 (B, C, H, W), values 0 to 255, or float32 (B, ...), of the shape the student was trained on;
                or one image, as a path, as a Pillow image, or as a uint8 array (H, W) or (H, W, C), which is resized
                and cropped as the training images were.

        Raises:
            DataError: They are of another type or shape, or the image cannot be read.
        """
        if isinstance(images, np.ndarray) and not (self.inputs.is_image and images.ndim in (2, 3)):
            images = torch.from_numpy(np.ascontiguousarray(images))
        if not isinstance(images, Tensor):
            images = self._read(images)
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

    def _read(self, image: "Array | str | Path | Image") -> Tensor:
        """Return one image, uint8 (1, C, H, W)."""
        if not self.inputs.is_image:
            what = f"the student's inputs are no images, but {self.inputs}"
            raise DataError(what, where=str(image), hint="stack them to a batch of float32")
        channels, height, width = self.inputs.shape
        tall, wide = self.stored or (height, width)
        scale = Largest(*self.largest) if self.largest else None
        grey, square = channels == 1, tall == wide
        pixels = torch.from_numpy(read_one(image, grey=grey, size=(tall, wide), crop=square, largest=scale))
        return centre_crop(pixels, height) if self.stored else pixels


def save_network(path: Path, weights: Mapping[str, Tensor], card: Card) -> None:
    """Write the file of a student or a teacher, which its name says; equal weights and cards give equal bytes.

    Raises:
        StorageError: It cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    about = {"format": _format(path), path.stem: json.dumps(card.as_json(), sort_keys=True)}
    with storage_errors(path):
        path.write_bytes(_in_order(save(plain, metadata=about)))


def _format(path: Path) -> str:
    return f"pdsearch {path.stem} 1"


def _in_order(content: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted: safetensors writes its keys in a random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # Aligns the tensors.
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def read_card(folder: str | Path) -> Card:
    """Read the metadata of an exported student's file.

    Raises:
        StorageError: There is no such file, or it is not an exported student.
    """
    return _open(Path(folder) / STUDENT_FILE)[0]


def load_student(folder: str | Path) -> nn.Module:
    """Return an exported student in evaluation mode, on the CPU; logits = student(student.preprocess(images)).

    `student.preprocess` is that of `load_preprocess`; a network that has an attribute of that name keeps its own.

    Args:
        folder: A folder written by `pdsearch export`.

    Raises:
        StorageError: There is no such file, or it is not an exported student.
        ConfigError: Its model is not known in this environment.
    """
    return load_network(Path(folder) / STUDENT_FILE)[0]


def load_teacher(folder: str | Path) -> nn.Module:
    """Return an exported teacher, pruned as it taught, in evaluation mode, on the CPU; its inputs are the student's.

    Args:
        folder: A folder written by `pdsearch export --teacher`.

    Raises:
        StorageError: There is no such file, or it is not an exported teacher.
        ConfigError: Its model is not known in this environment.
    """
    return load_network(Path(folder) / TEACHER_FILE)[0]


def load_network(path: Path) -> tuple[nn.Module, Card]:
    """Return the network of a file in evaluation mode, on the CPU, and its card.

    Raises:
        StorageError: There is no such file, or it is not an exported network.
        ConfigError: Its model is not known in this environment.
    """
    card, weights = _open(path)
    options = without_weights(card.model, card.options)
    shape = card.inputs.shape
    model = build(
        card.model, num_classes=len(card.classes), input_shape=shape, seed=card.seed, options=options
    )
    if not weights.keys() >= model.state_dict().keys():
        with_plain_weights(model)  # As it was before it was pruned.
    if card.widths:
        narrow(model, torch.zeros(1, *shape), dict(card.widths))
    for name, own in model.state_dict().items():
        kind = weights[name].dtype if name in weights else own.dtype
        if kind.is_floating_point != own.dtype.is_floating_point:  # torch would copy the one into the other.
            what = f"the weights do not fit {card.model}: {name} is {kind}, not {own.dtype}"
            raise StorageError(what, where=str(path))
    try:
        load_network_tensors(model, weights)
    except RuntimeError as error:
        raise StorageError(f"the weights do not fit {card.model}: {error}", where=str(path)) from error
    if not hasattr(model, "preprocess"):  # The user's network may have one of its own.
        vars(model)["preprocess"] = preprocess_of(card)
    return model.eval(), card


def load_preprocess(folder: str | Path) -> Preprocess:
    """Return the preprocessing of images for `load_student`'s network.

    Raises:
        StorageError: There is no such file, or it is not an exported student.
    """
    return preprocess_of(read_card(folder))


def preprocess_of(card: Card) -> Preprocess:
    """Return the preprocessing that a card describes."""
    return Preprocess(card.inputs, torch.tensor(card.mean), torch.tensor(card.std), card.stored, card.largest)


def _open(path: Path) -> tuple[Card, dict[str, Tensor]]:
    with storage_errors(path):
        check_regular(path)
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                if about.get("format") != _format(path):
                    raise StorageError(f"is not an exported {path.stem}", where=str(path))
                return _card(json.loads(about[path.stem])), {
                    name: file.get_tensor(name) for name in list(file.keys())
                }
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "export it again: pdsearch export STUDY --force"
            raise StorageError(
                f"is not an exported {path.stem}: {error}", where=str(path), hint=hint
            ) from error


def _card(about: Mapping[str, Any]) -> Card:
    pairs = {name: sorted(about.get(name, {}).items()) for name in ("options", "widths")}
    return decode(Card, {**about, **pairs, "inputs": _inputs(about)})


def _inputs(about: Mapping[str, Any]) -> dict[str, Any]:
    if "input_shape" in about:
        return {"shape": about["input_shape"], "dtype": about["input_dtype"]}
    return {"shape": [about["channels"], about["image_size"], about["image_size"]]}
