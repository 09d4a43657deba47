"""Context with its own random state and deterministic kernels."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def reproducible(seed: int, *, device: str = "cpu", threads: int | None = None) -> Iterator[None]:
    """Run a block with torch's generators seeded and cuDNN deterministic; restore both afterwards.

    Never yield to a consumer inside the block: it would see, and could change, the private state.

    Args:
        seed: Seed of the CPU's and the device's generator (used by dropout).
        device: The device in use.
        threads: CPU threads inside the block; None changes nothing.
    """
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark, torch.get_num_threads())
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.manual_seed(seed)
        try:
            cudnn.deterministic, cudnn.benchmark = True, False
            torch.set_num_threads(threads or before[2])
            yield
        finally:
            cudnn.deterministic, cudnn.benchmark = before[:2]
            torch.set_num_threads(before[2])
