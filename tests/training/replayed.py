"""A graph for the CPU: notes torch's operations while they run, and runs them again on the same tensors.

As a CUDA graph does, it holds the places of tensors and the values of plain numbers, and refuses what asks for a
tensor's content: whatever is decided by that while work is captured would be decided for good.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "_unique2", "lift_fresh"}
"""Operations whose result a GPU has to be waited for, or that bring a number to it."""


class Noted(TorchDispatchMode):
    """Notes each operation with its arguments and results; `calls` None only looks for what cannot be captured."""

    def __init__(self, calls: list[tuple[Any, ...]] | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = calls

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masks = name.startswith("index") and any(t.dtype == torch.bool for t in tensors(args[1:]))
        if name in ASKS or masks:
            raise RuntimeError(f"{name} waits for the device")
        result = func(*args, **(kwargs or {}))
        if self.calls is not None:
            self.calls.append((func, args, kwargs or {}, result))
        return result


class CpuGraph:
    """What is captured is computed once meanwhile; a GPU does not even do that."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.replayed = self.captured = 0

    @contextmanager
    def ready(self) -> Iterator[None]:
        with Noted(None):
            yield

    def capture(self, work: Callable[[], None]) -> None:
        calls: list[tuple[Any, ...]] = []
        with Noted(calls):
            work()
        self.calls = calls
        self.captured += 1

    @torch.no_grad()
    def replay(self) -> None:
        assert self.calls, "nothing is captured"
        self.replayed += 1
        for func, args, kwargs, result in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tensors(result), tensors(again), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    def wait(self) -> None:
        pass

    def clear(self) -> None:
        self.calls = []


def tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
