"""Export of students as ONNX files, which take inputs as they are stored and need no PyTorch."""

import json
import logging
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.exporting.student_file import Card, Preprocess, load_preprocess, load_student, read_card
from pdsearch.io.durable import storage_errors

if TYPE_CHECKING:
    import onnxruntime

__all__ = ["ONNX_FILE", "require_onnx", "save_onnx"]

ONNX_FILE = "student.onnx"
_TOLERANCE = 1e-3
_BATCHES = (1, 3)


class _Whole(nn.Module):
    """Preprocessing and student as one network, so that mean and deviation need not be copied by hand."""

    mean: Tensor
    std: Tensor

    def __init__(self, student: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.student = student
        shape = (1, -1, *[1] * (len(preprocess.inputs.shape) - 1))
        self.register_buffer("mean", preprocess.mean.view(shape))
        self.register_buffer("std", preprocess.std.view(shape))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (B, classes), of inputs as they are stored."""
        logits: Tensor = self.student((images.float() - self.mean) / self.std)
        return logits


def require_onnx() -> None:
    """Check, before anything is written, that ONNX files can be written and run here.

    Raises:
        ConfigError: A package is missing.
    """
    for name in ("onnx", "onnxruntime", "onnxscript"):  # the last is what torch's exporter builds graphs with
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"ONNX needs a package that is not installed: {name}",
                where="--onnx",
                hint="pip install 'pdsearch[onnx]'",
            ) from error


def save_onnx(folder: Path) -> float:
    """Write student.onnx beside an exported student, run it, and compare it with the student.

    Its input is `images`, uint8 (batch, C, H, W), 0 to 255, or `inputs`, float32 (batch, ...); its output `logits`,
    float32 (batch, classes), for any batch. Its metadata holds that of student.safetensors, as JSON under "student".

    Args:
        folder: Holds student.safetensors.

    Returns:
        The largest difference of a logit between ONNX Runtime and PyTorch, relative to the largest logit, on random
        images.

    Raises:
        PdsearchError: The network cannot be written as ONNX, or its outputs differ there.
        StorageError: The folder cannot be read or written.
    """
    card, preprocess = read_card(folder), load_preprocess(folder)
    whole = _Whole(load_student(folder), preprocess).eval()
    path = folder / ONNX_FILE
    with storage_errors(path):
        path.write_bytes(_exported(whole, card))
        return _compared(path, whole, card)


def _exported(whole: nn.Module, card: Card) -> bytes:
    example = _images(card, 2)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # warnings about the exporter's internals
            level = logging.getLogger("torch.onnx").level
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            try:
                program = torch.onnx.export(
                    whole,
                    (example,),
                    dynamo=True,
                    dynamic_shapes=({0: torch.export.Dim("batch")},),
                    input_names=[card.noun],
                    output_names=["logits"],
                    verbose=False,
                )
            finally:
                logging.getLogger("torch.onnx").setLevel(level)
    except Exception as error:  # The exporter may raise anything for an unknown network.
        raise PdsearchError(
            f"{card.model} cannot be written as ONNX: {str(error).strip().splitlines()[0]}",
            where="--onnx",
            hint="export without --onnx: the weights and the configuration need nothing of it",
        ) from error
    assert program is not None  # guaranteed with dynamo=True
    proto = program.model_proto
    for name, value in (
        ("format", "pdsearch student 1"),
        ("student", json.dumps(card.as_json(), sort_keys=True)),
    ):
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, value
    written: bytes = proto.SerializeToString()
    return written


def _compared(path: Path, whole: nn.Module, card: Card) -> float:
    runtime = _session(path)
    worst = 0.0
    for batch in _BATCHES:
        images = _images(card, batch)
        with torch.no_grad():
            ours = whole(images)
        theirs = torch.from_numpy(runtime.run(["logits"], {card.noun: images.numpy()})[0])
        worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30)))
    if not worst <= _TOLERANCE:  # NaN as well
        raise PdsearchError(
            f"{card.model} computes something else as ONNX: logits differ by {worst:.1e} of the largest",
            where="--onnx",
            hint="export without --onnx, and please report it",
        )
    return worst


def _session(path: Path) -> "onnxruntime.InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _images(card: Card, batch: int) -> Tensor:
    size, random = (batch, *card.inputs.shape), torch.Generator().manual_seed(batch)
    if card.inputs.dtype == "uint8":
        return torch.randint(0, 256, size, dtype=torch.uint8, generator=random)
    mean, std = (torch.tensor(v).view(-1, *[1] * (len(size) - 2)) for v in (card.mean, card.std))
    return mean + std * torch.randn(size, generator=random)
