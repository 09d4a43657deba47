"""Device, precision, memory and random state of a training."""

import ctypes
import math
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models import drawing

TINY_WEIGHTS = 30_000
"""Below so many weights, casting takes longer than bf16 saves on a CPU (benchmarks/precision.py): convnet_m,
with 24,000, gains nothing on an AMD EPYC and loses a fifth on an Intel Xeon with AMX; ResNet-8 has 78,000."""

AHEAD_BYTES = 2**26

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Engine:
    """Device, precision and memory settings of a training run.

    Convolutions run on channels_last tensors. Weights stay float32; below fp32 the forward pass is autocast.

    Args:
        device: "cpu", "cuda" or "cuda:N".
        precision: "fp32", "bf16" or "fp16", resolved from "auto" beforehand.
        parts: Number of parts a batch is split into; gradients are summed, batch statistics are those of one part.
        graphs: Whether steps may be captured as CUDA graphs; it affects time and memory only.

    Raises:
        ConfigError: The precision is unknown.
    """

    device: str = "cpu"
    precision: str = "fp32"
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
        """Device type: "cpu" or "cuda"."""
        return torch.device(self.device).type

    def autocast(self) -> AbstractContextManager[object]:
        """Return the autocast context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.kind, dtype=DTYPES[self.precision])

    def place(self, model: nn.Module) -> nn.Module:
        """Move a network to the device, in place, convolutions in channels_last order; return it.

        Other tensors of four axes keep their order: networks may take views of them.
        """
        model.to(device=self.device)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                for weight in (weight for weight in layer.parameters() if weight.dim() == len("NCHW")):
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        return model

    def images(self, images: Tensor) -> Tensor:
        """Return inputs on the device, maps (B, C, H, W) in channels_last order."""
        is_map = images.dim() == 4
        order = torch.channels_last if is_map else torch.preserve_format
        return images.to(self.device, non_blocking=True, memory_format=order)

    @property
    def ahead_bytes(self) -> int:
        """Bytes of views to compute at once: a GPU finishes the views of one step before Python issues the next."""
        return AHEAD_BYTES if self.kind == "cuda" else 0

    def scaler(self) -> torch.amp.GradScaler | None:
        """Return a new loss scaler for fp16 on a GPU, else None."""
        if self.precision == "fp16" and self.kind == "cuda":
            return torch.amp.GradScaler("cuda")
        return None


def pick_device(gpu: float) -> str:
    """Return the device of a trial with this share of a GPU (0 is none).

    Raises:
        ConfigError: A GPU was requested and torch sees none.
    """
    if gpu <= 0:
        return "cpu"
    if not torch.cuda.is_available():
        hint = "set resources.gpu to 0, use a torch that fits the driver, or join a cluster with --address"
        raise ConfigError("a GPU is asked for, but torch sees none", where="resources.gpu", hint=hint)
    return "cuda"


def computes_bf16(device: str) -> bool:
    """Return whether a device of this machine computes bf16 natively, without emulation."""
    if torch.device(device).type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16"})


def resolve_precision(name: str, device: str, *, bf16: bool | None = None) -> str:
    """Resolve "auto" to a precision for a device; any other known name is returned unchanged.

    On a GPU bf16, or fp16 where bf16 is emulated; on a CPU bf16 if it has bf16 instructions, else fp32 (`why_fp32` also
    looks at the student). The choice is a rule and not a measurement, because the precision is in keys: two studies on
    one machine must agree to share artifacts.

    Args:
        name: "auto" or a precision.
        device: Device type.
        bf16: Whether the device computes bf16 natively; None asks this machine.

    Raises:
        ConfigError: The name is unknown.
    """
    if name != "auto":
        return Engine(precision=name).precision
    able = computes_bf16(device) if bf16 is None else bf16
    if torch.device(device).type == "cuda":
        return "bf16" if able else "fp16"
    return "bf16" if able else "fp32"


def why_fp32(weights: int | None, *, depthwise: bool, bf16: bool) -> str | None:
    """Return why a CPU, with bf16 instructions or without, trains a student faster in float32; None if it does not.

    MobileNetV2 is half as fast in bf16 (docs/results/speed.md).

    Args:
        weights: Number of weights of the student; None if unknown.
        depthwise: Whether it has depthwise convolutions.
        bf16: Whether the CPU computes bf16 natively.
    """
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
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h in glibc."""

KEPT_BYTES = 2**30
LARGEST_KEPT_BYTES = 2**26


def keep_freed_memory() -> None:
    """Make this process keep freed memory: up to 1 GiB, in blocks below 64 MiB; larger blocks are returned at once.

    Without it, glibc returns the activations of a CPU training step to the system at the end of the step and requests
    them again in the next, page by page: a twentieth of the time of ResNet-8. Results do not change. With another C
    library this does nothing.
    """
    with suppress(OSError, AttributeError):  # No such library, or no such function: not glibc.
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)


@contextmanager
def reproducible(seed: int, *, device: str = "cpu") -> Iterator[None]:
    """Run a block with all generators seeded, Python's and NumPy's too, and cuDNN deterministic; restore them after.

    Never yield to a consumer inside the block: it would see, and could change, the private state.

    Args:
        seed: Seed of all of them: dropout draws by torch's, own code by any.
        device: The device in use.
    """
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark)
    with drawing(seed, cuda):
        if cuda:
            torch.cuda.manual_seed(seed)
        try:
            cudnn.deterministic, cudnn.benchmark = True, False
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before


def random_states(device: str) -> dict[str, Tensor]:
    """Return the states of the random generators that training on this device uses; own code may draw by any."""
    _, words, half = random.getstate()
    theirs: dict[str, Any] = np.random.get_state(legacy=False)
    key, place = theirs["state"]["key"].tolist(), theirs["state"]["pos"]
    states = {
        "cpu": torch.get_rng_state(),
        "python": torch.tensor([*words, math.inf if half is None else half], dtype=torch.float64),
        "numpy": torch.tensor([*key, place, theirs["has_gauss"], theirs["gauss"]], dtype=torch.float64),
    }
    if torch.device(device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(torch.device(device))
    return states


def restore_random(states: Mapping[str, Tensor], device: str) -> None:
    """Restore the random generators that training on this device uses, from `random_states`."""
    for name, state in states.items():
        if name == "cpu":
            torch.set_rng_state(state)
        elif name == "python":
            *words, half = state.tolist()
            random.setstate((random.getstate()[0], (*map(int, words),), None if half == math.inf else half))
        elif name == "numpy":
            *key, place, has_half, half = state.tolist()
            np.random.set_state(("MT19937", np.array(key, np.uint32), int(place), int(has_half), half))
        elif torch.device(device).type == name:
            torch.cuda.set_rng_state(state, torch.device(device))


_OF_A_JOB = "SLURM_CPUS_ON_NODE"
"""Slurm's variable with the cores that a job has on this node; not every site keeps its processes to them."""


def cores(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of cores of this machine that the process may run on.

    Args:
        environment: Where a job's share of the machine is looked up.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = environment.get(_OF_A_JOB, "")
    return min(here, int(share)) if share.isdigit() and int(share) else here
