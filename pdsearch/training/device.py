"""Device, precision and memory of a training."""

import ctypes
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.training.graph import CudaGraph, Graph

__all__ = [
    "Engine",
    "computes_bf16",
    "keep_freed_memory",
    "pick_device",
    "resolve_precision",
    "why_fp32",
]

TINY_WEIGHTS = 30_000
"""Below it, changing from one precision to the other takes longer than bf16 saves (benchmarks/precision.py): convnet_m,
with 24,000, gains nothing on an AMD EPYC and loses a fifth on an Intel Xeon with AMX; ResNet-8 has 78,000."""

AHEAD_BYTES = 2**26

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """Where tensors lie and how they are computed with.

    Convolutions run on channels_last tensors. Weights stay float32; below fp32 the forward pass is autocast.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        precision: "fp32", "bf16" or "fp16", resolved from "auto" beforehand.
        threads: CPU threads while training; None leaves the process as it is.
        parts: In how many parts a batch is computed; gradients are summed, batch statistics are those of a part.
        graphs: Whether steps may be captured as CUDA graphs; nothing but time and memory depends on it.

    Raises:
        ConfigError: The precision is unknown.
    """

    device: str = "cpu"
    precision: str = "fp32"
    threads: int | None = None
    parts: int = 1
    graphs: bool = True

    def __post_init__(self) -> None:
        if self.precision not in DTYPES:
            known = ", ".join(("auto", *DTYPES))
            raise ConfigError(
                f"unknown precision {self.precision!r}", where="precision", hint=f"known: {known}"
            )

    @property
    def kind(self) -> str:
        """Type of the device: "cpu" or "cuda"."""
        return torch.device(self.device).type

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.kind, dtype=DTYPES[self.precision])

    def place(self, model: nn.Module) -> nn.Module:
        """Move a network to the device, in place, convolutions in channels_last order; return it."""
        return model.to(device=self.device).to(memory_format=torch.channels_last)

    def images(self, images: Tensor) -> Tensor:
        """Return images (B, C, H, W) on the device, in channels_last order."""
        return images.to(self.device, non_blocking=True, memory_format=torch.channels_last)

    @property
    def ahead_bytes(self) -> int:
        """How many bytes of views to make at once: a GPU is done with those of one step before Python is."""
        return AHEAD_BYTES if self.kind == "cuda" else 0

    def graph(self) -> Graph | None:
        """Return a new graph for a training's steps where one can be had: on a GPU, for batches that are not parted."""
        return CudaGraph(self.device) if self.kind == "cuda" and self.graphs and self.parts == 1 else None

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return a new loss scaler where one is needed: fp16 on a GPU."""
        if self.precision == "fp16" and self.kind == "cuda":
            return torch.amp.GradScaler("cuda")
        return None


def pick_device(gpu: float) -> str:
    """Return the device of a trial that was given this share of GPUs (0 is none).

    Raises:
        ConfigError: A GPU was asked for and torch sees none.
    """
    if gpu <= 0:
        return "cpu"
    if not torch.cuda.is_available():
        hint = "set resources.gpu to 0, use a torch that fits the driver, or join a cluster with --address"
        raise ConfigError("a GPU is asked for, but torch sees none", where="resources.gpu", hint=hint)
    return "cuda"


def computes_bf16(device: str) -> bool:
    """Return whether a device of this machine computes in bf16, without emulating it."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16"})


def resolve_precision(
    name: str,
    device: str,
    *,
    weights: int | None = None,
    depthwise: bool = False,
    bf16: bool | None = None,
) -> str:
    """Return the precision that "auto" stands for on a device; any other known name stands for itself.

    On a GPU bf16, or fp16 where bf16 is emulated; on a CPU bf16 where it has instructions for it and the student is
    no tiny network and has no depthwise convolutions (MobileNetV2 is half as fast in bf16, docs/results/speed.md),
    else fp32. It is no matter of a measurement at the start: the precision is in keys, and two studies on one machine
    share what they compute.

    Args:
        name: "auto" or a precision.
        device: Type of the device.
        weights: Number of the student's; None where it is not known.
        depthwise: Whether it has depthwise convolutions.
        bf16: Whether the device computes in bf16; None looks at this machine's.

    Raises:
        ConfigError: The name is unknown.
    """
    if name != "auto":
        return Engine(precision=name).precision
    able = computes_bf16(device) if bf16 is None else bf16
    if torch.device(device).type == "cuda":
        return "bf16" if able else "fp16"
    return "fp32" if why_fp32(weights, depthwise=depthwise, bf16=able) else "bf16"


def why_fp32(weights: int | None, *, depthwise: bool, bf16: bool) -> str | None:
    """Return why a CPU, with instructions for bf16 or without, trains a student faster in float32, or None."""
    if weights is not None and weights < TINY_WEIGHTS:
        return f"a student of {weights:,} weights is too small for bf16 to pay"
    if depthwise:
        return "a CPU computes depthwise convolutions slower in bf16"
    return None if bf16 else "this CPU has no instructions for bf16"


def _cpu_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return set()
    flags = [line.partition(":")[2] for line in info.read_text().splitlines() if line.startswith("flags")]
    return set(flags[0].split()) if flags else set()


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h."""

KEPT_BYTES = 2**30
LARGEST_KEPT_BYTES = 2**26


def keep_freed_memory() -> None:
    """Let this process keep what it frees: up to 1 GiB, in blocks of less than 64 MiB; larger ones go back at once.

    Without it, glibc gives the activations of a CPU's training step back to the system at the end of the step and
    asks for them again in the next, page by page: a twentieth of ResNet-8's time. Nothing is computed otherwise. Where
    the C library is another one, nothing happens.
    """
    with suppress(OSError, AttributeError):  # No such library, or no such function: not glibc.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
