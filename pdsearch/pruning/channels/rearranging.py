"""How operations that move, cut and join axes carry their labels; the registry of all operations' rules."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from pdsearch.pruning.channels.axes import FIXED, FREE, Axes, Labels, labelled

Given: TypeAlias = Mapping[str, Any]
Rule: TypeAlias = Callable[[Axes, Given, Tensor], list[Labels]]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of some operations."""

    def add(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return add


def fixed(tensor: Tensor, since: int = 0) -> list[Labels]:
    """Return labels that stay, for the axes of a result from one on."""
    return [np.full(size, FIXED) for size in tensor.shape[since:]]


@rule("t")
def _turned(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    return axes.of(given["self"])[::-1]


@rule("transpose")
def _transposed(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["self"])]
    one, other = given["dim0"], given["dim1"]
    found[one], found[other] = found[other], found[one]
    return found


@rule("permute")
def _permuted(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    return [axes.of(given["self"])[at] for at in given["dims"]]


@rule("expand")
def _expanded(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    known = axes.of(given["self"])
    new = [np.full(size, FREE) for size in out.shape]
    shift = out.dim() - len(known)
    return [
        known[at - shift] if at >= shift and len(known[at - shift]) == len(new[at]) else new[at]
        for at in range(out.dim())
    ]


@rule("as_strided")
def _restrided(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    """Pass on what only lies otherwise in memory; of another shape nothing is known."""
    known = axes.of(given["self"])
    if [len(labels) for labels in known] == [*out.shape]:
        return known
    for labels in known:
        axes.fix(labels, "the operation as_strided changes its shape")
    return fixed(out)


@rule("repeat")
def _repeated(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    known, times = axes.of(given["self"]), given["repeats"]
    known = [np.full(1, FREE)] * (len(times) - len(known)) + known
    return [np.tile(labels, count) for labels, count in zip(known, times, strict=True)]


@rule("roll")
def _rolled(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["self"])]
    for at, shift in zip(given["dims"] or (), given["shifts"], strict=False):
        found[at] = np.roll(found[at], shift)
    return found


@rule("flip")
def _flipped(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    turned = {at % out.dim() for at in given["dims"]}
    return [labels[::-1] if at in turned else labels for at, labels in enumerate(axes.of(given["self"]))]


@rule("constant_pad_nd")
def _padded(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["self"])]
    pads = given["pad"]
    for back in range(len(pads) // 2):
        left, right = pads[2 * back], pads[2 * back + 1]
        at = len(found) - 1 - back
        labels = found[at][max(0, -left) : len(found[at]) - max(0, -right)]
        found[at] = np.pad(labels, (max(0, left), max(0, right)), constant_values=FIXED)
    return found


@rule("pixel_shuffle")
def _into_space(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    """Make one channel of a block of them, side by side in space; they go together."""
    known = axes.of(given["self"])
    blocks = known[-3].reshape(out.shape[-3], -1)
    for column in blocks.T[1:]:
        axes.together(blocks[:, 0], column)
    return [*known[:-3], blocks[:, 0].copy(), *fixed(out, out.dim() - 2)]


@rule("pixel_unshuffle", "im2col")
def _out_of_space(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    """Make as many channels of one as its positions in space that lie together."""
    at = 1 if out.dim() == 3 and given.get("kernel_size") else out.dim() - 3
    known = axes.of(given["self"])
    return [*known[:at], np.repeat(known[at], out.shape[at] // len(known[at])), *fixed(out, at + 1)]


@rule("glu")
def _gated(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found, at = [*axes.of(given["self"])], given["dim"]
    if labelled(found[at]):
        tie_parts(axes, found[at], 2)
    found[at] = found[at][: out.shape[at]]
    return found


@rule("cat")
def _joined(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    parts = [axes.of(tensor) for tensor in given["tensors"] if tensor.numel() or tensor.dim() == out.dim()]
    along = given["dim"] % out.dim()
    found = []
    for at in range(out.dim()):
        if at == along:
            found.append(np.concatenate([part[at] for part in parts]))
            continue
        labels = parts[0][at]
        for part in parts[1:]:
            labels = axes.together(labels, part[at])
        found.append(labels)
    return found


@rule("stack")
def _stacked(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = axes.of(given["tensors"][0])
    for tensor in given["tensors"][1:]:
        found = [axes.together(one, other) for one, other in zip(found, axes.of(tensor), strict=True)]
    at = given["dim"] % out.dim()
    return [*found[:at], np.full(out.shape[at], FIXED), *found[at:]]


@rule("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "_reshape_alias", "flatten", "unflatten")
def _reshaped(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    """Match groups of axes of equal size: one axis made of several, or several made of one."""
    old = [labels for labels in axes.of(given["self"]) if len(labels) > 1]
    new = [size for size in out.shape if size > 1]
    found: list[Labels] = []
    while old or len(found) < len(new):
        before, after = [old.pop(0)], [new[len(found)]]
        while math.prod(map(len, before)) != math.prod(after):
            if math.prod(map(len, before)) < math.prod(after):
                before.append(old.pop(0))
            else:
                after.append(new[len(found) + len(after)])
        found += _split(axes, _merged(axes, before), tuple(after))
    note_lengths(axes, [*axes.of(given["self"]), *found])
    sized = iter(found)
    return [np.full(1, FREE) if size == 1 else next(sized) for size in out.shape]


def _merged(axes: Axes, parts: list[Labels]) -> Labels:
    """Make one axis of several: its positions go with the first that may lose some; others stay whole."""
    if len(parts) == 1:
        return parts[0]
    sizes = [len(part) for part in parts]
    loose = [at for at, part in enumerate(parts) if labelled(part)]
    for at in loose[1:]:
        axes.fix(parts[at], "two axes that lose positions become one")
    fill = FREE if all((part == FREE).all() for part in parts) else FIXED
    if not loose:
        return np.full(math.prod(sizes), fill)
    shape = [1] * len(sizes)
    shape[loose[0]] = -1
    return np.broadcast_to(parts[loose[0]].reshape(shape), sizes).reshape(-1)


def _split(axes: Axes, labels: Labels, sizes: tuple[int, ...]) -> list[Labels]:
    """Make several axes of one: the one whose positions are labelled alike, or a chosen one, may lose some."""
    if len(sizes) == 1:
        return [labels]
    found = [np.full(size, FIXED if (labels != FREE).any() else FREE) for size in sizes]
    if not labelled(labels):
        return found
    block = labels.reshape(sizes)
    for at in range(len(sizes)):
        rows = np.moveaxis(block, at, 0).reshape(sizes[at], -1)
        if (rows == rows[:, :1]).all():
            found[at] = rows[:, 0].copy()
            return found
    at = axes.choose(sizes)
    rows = np.moveaxis(block, at, 0).reshape(sizes[at], -1)
    found[at] = axes.new(sizes[at])
    axes.together(np.repeat(found[at], rows.shape[1]), rows.reshape(-1))
    axes.chose(found[at])
    return found


def note_lengths(axes: Axes, parts: Sequence[Labels]) -> None:
    """Note the lengths of an operation's axes (`Axes.note`)."""
    still = {len(part) for part in parts if not labelled(part)}
    for part in parts:
        axes.note(len(part), part, alone=len(part) not in still)


def tie_parts(axes: Axes, labels: Labels, count: int) -> None:
    """Tie equal places of `count` equal parts of an axis: a code that cuts it into parts needs them equally long."""
    rows = labels.reshape(count, -1)
    for row in rows[1:]:
        axes.together(rows[0], row)


@rule("select")
def _selected(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["self"])]
    axes.fix(found.pop(given["dim"]), "single positions are picked by their number")
    return found


@rule("slice")
def _sliced(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found, at = [*axes.of(given["self"])], given["dim"]
    whole = found[at]
    size = out.shape[at]
    found[at] = whole[slice(given["start"], given["end"], given["step"])]
    if labelled(whole) and size < len(whole):
        start = (given["start"] or 0) % len(whole)
        if len(whole) % size == 0 and start % size == 0 and given["step"] == 1:
            tie_parts(axes, whole, len(whole) // size)
        note_lengths(axes, [whole, found[at]])
    return found


def _cut(axes: Axes, given: Given, results: list[Tensor]) -> list[list[Labels]]:
    """Cut an axis into parts; equal parts lose equal places."""
    known, at = axes.of(given["self"]), given["dim"]
    sizes = [part.shape[at] for part in results]
    if len({*sizes}) == 1 and labelled(known[at]) and len(sizes) > 1:
        tie_parts(axes, known[at], len(sizes))
    ends = np.cumsum(sizes)[:-1]
    parts = np.split(known[at], ends)
    note_lengths(axes, [known[at], *parts])
    return [[*known[:at], part, *known[at:][1:]] for part in parts]


def _unbound(axes: Axes, given: Given, results: list[Tensor]) -> list[list[Labels]]:
    found = [*axes.of(given["self"])]
    axes.fix(found.pop(given["dim"]), "single positions are picked by their number")
    return [found for _ in results]


SPLITS = {"split": _cut, "unsafe_split": _cut, "split_with_sizes": _cut, "chunk": _cut, "unbind": _unbound}


@rule("index", "_unsafe_index")
def _indexed(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    known = axes.of(given["self"])
    used = [at for at, index in enumerate(given["indices"]) if index is not None]
    for at in used:
        axes.fix(known[at], "single positions are picked by their number")
    if len(used) != 1:
        for labels in known:
            axes.fix(labels, "single positions are picked by their number")
        return fixed(out)
    inner = [np.full(size, FIXED) for size in given["indices"][used[0]].shape]
    return [*known[: used[0]], *inner, *known[used[0] + 1 :]]


@rule("index_select")
def _picked(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found, at = [*axes.of(given["self"])], given["dim"]
    found[at] = found[at][given["index"].cpu().numpy()]
    return found


@rule("embedding")
def _embedded(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    return [*fixed(given["indices"]), axes.of(given["weight"])[1]]
