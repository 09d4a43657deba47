"""Labels of the positions along every axis of every tensor of a forward pass: equal labels can only go together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from pdsearch.models.compiler import leave_alone

Labels: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.int64]]"
"""One label a position. FIXED: it stays. FREE: it goes along with whatever it meets, as in an axis of size 1."""

FIXED, FREE = 0, -1

REDUCTIONS = frozenset(
    ("mean", "sum", "amax", "amin", "var", "std", "var_mean", "std_mean", "linalg_vector_norm", "logsumexp")
)
"""Operations that reduce axes, and may do so over the positions that are left."""


def name_of(func: OpOverload) -> str:
    """Return the name of an operation of torch's, whichever its overload, in place or not."""
    name: str = func._schema.name
    return name.removeprefix("aten::").rstrip("_")


def labelled(labels: Labels) -> bool:
    """Whether some position of an axis may be removed."""
    return bool((labels > FIXED).any())


class Axes:
    """The labels of a network's tensors, and what its operations say about them.

    Args:
        model: The network; its parameters and buffers get fresh labels, its input is FIXED.
        choices: For operations that can be followed in several ways, by their number in the forward pass: which one.
    """

    def __init__(self, model: nn.Module, choices: Mapping[int, int]) -> None:
        self.step = 0
        self.sites: dict[int, tuple[int, Labels]] = {}
        self.reductions = 0
        self.reduced: dict[tuple[int, int], Labels] = {}
        self.loose: set[int] = set()
        self.extents: list[tuple[str, int, Labels, bool]] = []
        self.inside: list[str] = [""]
        self._choices = choices
        self._count = 1
        self._pairs: list[tuple[Labels, Labels]] = []
        self._fixed: list[tuple[Labels, str, int]] = []
        self._made = WeakTensorKeyDictionary()
        self._before: dict[int, set[int]] = {}
        self._known = WeakTensorKeyDictionary()
        self.read: set[int] = set()
        self.named: dict[str, list[Labels]] = {}
        seen: dict[int, list[Labels]] = {}
        values = [
            *model.named_parameters(remove_duplicate=False),
            *model.named_buffers(remove_duplicate=False),
        ]
        for name, tensor in values:
            axes = seen.setdefault(id(tensor), [self.new(size) for size in tensor.shape])
            self.named[name] = axes
            self._known[tensor] = axes

    def new(self, size: int) -> Labels:
        """Return fresh labels; FREE for a single position, which broadcasts."""
        if size == 1:
            return np.full(1, FREE)
        self._count += size
        return np.arange(self._count - size, self._count)

    def of(self, tensor: Tensor) -> list[Labels]:
        """Return the labels of each axis of a tensor; a constant's are FREE."""
        known: list[Labels] | None = self._known.get(tensor)
        return [np.full(size, FREE) for size in tensor.shape] if known is None else known

    def set(self, tensor: Tensor, axes: list[Labels]) -> None:
        """Label a result."""
        self._known[tensor] = axes

    def fix_input(self, image: Tensor) -> None:
        """Label an input: none of its positions can be removed."""
        self.set(image, [np.full(size, FIXED) for size in image.shape])

    def together(self, one: Labels, other: Labels) -> Labels:
        """Note that positions go together, one by one, and return their labels."""
        free = one == FREE
        bound = ~free & (other != FREE) & (one != other)
        if bound.any():
            self._pairs.append((one[bound], other[bound]))
        return np.where(free, other, one)

    def fix(self, labels: Labels, reason: str) -> None:
        """Note that positions stay, and why."""
        if labelled(labels):
            where = f" in {self.inside[-1]}" if self.inside[-1] else ""
            self._fixed.append((labels[labels > FIXED], f"{reason}{where}", self.step))

    def ran(self, read: list[Tensor], made: list[Tensor]) -> None:
        """Note which tensors the operation of this step read and made."""
        self.read.update(map(id, read))
        self._before[self.step] = {self._made[tensor] for tensor in read if tensor in self._made}
        for tensor in made:
            self._made[tensor] = self.step

    def answer(self, outputs: list[Tensor]) -> None:
        """Fix the outputs, and forget what other operations fixed whose results no output depends on."""
        needed: set[int] = set()
        left = [self._made[tensor] for tensor in outputs if tensor in self._made]
        while left:
            step = left.pop()
            if step not in needed:
                needed.add(step)
                left.extend(self._before[step])
        self._fixed = [fixed for fixed in self._fixed if fixed[2] in needed or not fixed[2]]
        for labels in (labels for tensor in outputs for labels in self.of(tensor)):
            self.fix(labels, "its outputs are the answers")

    def choose(self, sizes: tuple[int, ...]) -> int:
        """Return which of several axes that make up one may lose positions; the others stay."""
        chosen = min(self._choices.get(self.step, 0), len(sizes) - 1)
        self.sites.setdefault(self.step, (len(sizes), np.empty(0, dtype=np.int64)))
        return chosen

    def chose(self, labels: Labels) -> None:
        """Note the labels that the last choice led to."""
        count, before = self.sites[self.step]
        self.sites[self.step] = (count, np.concatenate([before, labels]))

    def note(self, size: int, labels: Labels, alone: bool) -> None:
        """Note that the code that runs now may hold the length of an axis as an attribute.

        Args:
            size: The length.
            labels: The axis.
            alone: No axis that stays has this length in the same operation.
        """
        if labelled(labels):
            self.extents.append((self.inside[-1], size, labels, alone))

    def components(self) -> tuple[Labels, dict[int, str]]:
        """Return the number of its set of positions for each label, and for each set that stays the reason."""
        pairs = self._pairs or [(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))]
        one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
        ends = (one == FIXED) | (other == FIXED)
        kept = np.ones(int((~ends).sum()), dtype=bool)
        graph = coo_array((kept, (one[~ends], other[~ends])), shape=(self._count, self._count))
        _, found = connected_components(graph, directed=False)
        sets = found.astype(np.int64)
        reasons: dict[int, str] = {int(sets[FIXED]): "it stays"}
        for labels, reason, _ in self._fixed:
            for number in np.unique(sets[labels]):
                reasons.setdefault(int(number), reason)
        for number in np.unique(sets[np.maximum(one, other)[ends]]):
            reasons.setdefault(int(number), "it meets positions that stay: the image's, or a padding's")
        return sets, reasons


class Recorder(TorchDispatchMode):
    """Runs each operation and labels its results by a rule.

    Args:
        axes: What is known.
        rule: Called with the axes, the operation, its arguments by name and its result.
    """

    def __init__(self, axes: Axes, rule: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._axes, self._rule = axes, rule

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run and label one operation."""
        del types
        result = func(*args, **(kwargs or {}))
        names = [argument.name for argument in func._schema.arguments]
        given = {argument.name: argument.default_value for argument in func._schema.arguments}
        given |= dict(zip(names, args, strict=False)) | (kwargs or {})
        self._axes.step += 1
        self._rule(self._axes, func, given, result)
        return result


leave_alone(Recorder.__torch_dispatch__)


@contextmanager
def recording(model: nn.Module, axes: Axes, rule: Any) -> Iterator[None]:
    """Label everything that the network computes, knowing which of its modules computes."""
    handles = []
    for name, module in model.named_modules():

        def enter(_module: nn.Module, _inputs: Any, name: str = name) -> None:
            axes.inside.append(name)

        def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
            axes.inside.pop()

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with torch.no_grad(), stepwise_attention(), Recorder(axes, rule):
            yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def stepwise_attention() -> Iterator[None]:
    """Compute attention operation by operation, not by the one kernel that hides them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
