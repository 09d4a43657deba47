"""Export of students and teachers as ONNX files, which take inputs as they are stored and need no PyTorch."""

import json
import logging
import re
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.exporting.student_file import Card, Preprocess, load_network, preprocess_of
from pdsearch.io.durable import storage_errors
from pdsearch.models.bounded import BoundError, bounded

if TYPE_CHECKING:
    import onnxruntime

_TOLERANCE = 1e-3
_BATCHES = (1, 3)
_NO_OPERATOR = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")
_ANY_BATCH = "write x.shape[0] for len(x) and int(...), x.flatten(1) for reshape, and no loop over images"


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


def save_onnx(weights: Path) -> float:
    """Write the ONNX file of an exported network beside its weights, run it, and compare it with the network.

    Its input is `images`, uint8 (batch, C, H, W), 0 to 255, or `inputs`, float32 (batch, ...); its output `logits`,
    float32 (batch, classes), for any batch. Its metadata holds that of the weights' file, as JSON under "student" or
    "teacher".

    Args:
        weights: student.safetensors or teacher.safetensors.

    Returns:
        The largest difference of a logit between ONNX Runtime and PyTorch, relative to the largest logit, on random
        images.

    Raises:
        PdsearchError: The network cannot be written as ONNX, or its outputs differ there.
        StorageError: The folder cannot be read or written.
    """
    network, card = load_network(weights)
    whole = _Whole(network, preprocess_of(card)).eval()
    path = weights.with_suffix(".onnx")
    with storage_errors(path):
        try:
            path.write_bytes(bounded(lambda: _exported(whole, card, weights.stem), whole))
        except BoundError as error:
            raise _refused(card, f"following its code takes more than {error}") from error
        return _compared(path, whole, card)


def onnx_answer(path: Path, card: Card) -> Callable[[Tensor], Tensor]:
    """Return a function from inputs as they are stored to the logits of an ONNX file."""
    runtime = _session(path)
    return lambda inputs: torch.from_numpy(runtime.run(["logits"], {card.noun: inputs.numpy()})[0])


def _exported(whole: nn.Module, card: Card, role: str) -> bytes:
    example = _images(card, 2)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # warnings about the exporter's internals
            loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
            levels = [logger.level for logger in loggers]
            for logger in loggers:
                logger.setLevel(logging.ERROR)
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
                for logger, level in zip(loggers, levels, strict=True):
                    logger.setLevel(level)
    except Exception as error:  # The exporter may raise anything for an unknown network.
        raise _refused(card, *_reason(error)) from error
    assert program is not None  # guaranteed with dynamo=True
    proto = program.model_proto
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0]
    if not batch.dim_param:
        raise _refused(card, f"its forward works for batches of {batch.dim_value} only there", _ANY_BATCH)
    for node in (*proto.graph.node, *(node for function in proto.functions for node in function.node)):
        del node.metadata_props[:]  # Lines and paths of the source files here.
    for name, value in (
        ("format", f"pdsearch {role} 1"),
        (role, json.dumps(card.as_json(), sort_keys=True)),
    ):
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, value
    written: bytes = proto.SerializeToString()
    return written


def _refused(card: Card, why: str, way_out: str = "") -> PdsearchError:
    hint = "export without --onnx: the weights and the configuration need nothing of it"
    what = f"{card.model} cannot be written as ONNX: {why}"
    return PdsearchError(what, where="--onnx", hint=f"{way_out}; or {hint}" if way_out else hint)


def _reason(error: BaseException) -> tuple[str, str]:
    """Return why the exporter gave up, from the first cause that says it, and a way out where there is one."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    for cause in causes:
        if missing := _NO_OPERATOR.search(str(cause)):
            return f"ONNX has no operator for {missing[1]}", "write it with other operations"
        if "DataDependent" in type(cause).__name__ or "data-dependent" in str(cause):
            return (
                "its forward decides by the values of the images",
                "use torch.where in place of if and loops",
            )
    lines = [line for cause in reversed(causes) for line in str(cause).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0].strip(), ""


def _compared(path: Path, whole: nn.Module, card: Card) -> float:
    worst, answer = 0.0, None
    for batch in _BATCHES:
        images = _images(card, batch)
        with torch.no_grad():
            ours = whole(images)
        try:
            answer = answer or onnx_answer(path, card)
            theirs = answer(images)
        except Exception as error:  # ONNX Runtime has no class of errors of its own.
            raise _refused(card, f"ONNX Runtime does not run it: {str(error).splitlines()[0]}") from error
        worst = max(worst, float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1e-30)))
    with torch.no_grad():
        if not torch.equal(whole(images), ours):
            raise _refused(card, "it answers otherwise each time: it draws at random, in evaluation too")
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
