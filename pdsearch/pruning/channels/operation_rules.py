"""How each operation of PyTorch carries the labels of its inputs' axes to its results."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pdsearch.pruning.channels.axes import FIXED, FREE, REDUCTIONS, Axes, Labels, labelled, name_of
from pdsearch.pruning.channels.rearranging import RULES, SPLITS, Given, fixed, note_lengths, rule, tie_parts


def label_results(axes: Axes, func: Any, given: Given, result: Any) -> None:
    """Label the results of an operation; one without a rule fixes all that it reads, and says so."""
    name = name_of(func)
    axes.reductions += name in REDUCTIONS
    results = [
        part
        for part in (result if isinstance(result, list | tuple) else [result])
        if isinstance(part, Tensor)
    ]
    read = [tensor for value in given.values() for tensor in _tensors(value)]
    axes.ran(read, results)
    if not any(labelled(labels) or (labels == FIXED).any() for tensor in read for labels in axes.of(tensor)):
        return
    if name.endswith("_like") or name.startswith("new_") or not results:
        return
    try:
        found = _carried(axes, name, func, given, results)
    except Exception:  # Shapes that a rule was not written for, such as those of no position at all.
        for labels in (labels for tensor in read for labels in axes.of(tensor)):
            axes.fix(labels, f"the operation {name} is not known")
        found = [[np.full(size, FIXED) for size in part.shape] for part in results]
    for part, labels_of_part in zip(results, found, strict=True):
        axes.set(part, labels_of_part)


def _carried(axes: Axes, name: str, func: Any, given: Given, results: list[Tensor]) -> list[list[Labels]]:
    """Return the labels of each result of an operation by its rule.

    Raises:
        LookupError: It has none; a rule may raise anything for shapes that it was not written for.
    """
    if name in SPLITS:
        return SPLITS[name](axes, given, results)
    first = (_pointwise if name not in RULES and torch.Tag.pointwise in func.tags else RULES[name])(
        axes, given, results[0]
    )
    others = results[1:]
    return [
        first,
        *(
            first if part.shape == results[0].shape else [np.full(size, FREE) for size in part.shape]
            for part in others
        ),
    ]


def note_reading(axes: Axes, func: Any, given: Given, result: Any) -> None:
    """Note what an operation reads, and nothing else."""
    del func, result
    axes.read.update(id(tensor) for value in given.values() for tensor in _tensors(value))


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, list | tuple):
        return [tensor for part in value for tensor in _tensors(part)]
    return [value] if isinstance(value, Tensor) else []


@rule(
    # In place, PyTorch before 2.15 calls hardtanh, hardsigmoid, elu, celu and selu pointwise no more than hardswish.
    *("hardswish", "hardtanh", "hardsigmoid", "elu", "celu", "selu", "dropout", "native_dropout"),
    *("clone", "detach", "alias", "_to_copy", "copy", "lift_fresh", "contiguous", "_prelu_kernel"),
    *("rrelu_with_noise", "masked_fill", "_conj", "leaky_relu", "fill", "zero"),
)
def _pointwise(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    """Align axes from the last one, as broadcasting does."""
    found = [np.full(size, FREE) for size in out.shape]
    for tensor in (tensor for value in given.values() for tensor in _tensors(value)):
        shift = out.dim() - tensor.dim()
        for at, labels in enumerate(axes.of(tensor), start=shift):
            if at >= 0 and len(labels) == len(found[at]):
                found[at] = axes.together(found[at], labels)
    return found


@rule("mm", "bmm")
def _multiplied(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    one, other = axes.of(given["self"]), axes.of(given["mat2"])
    axes.together(one[-1], other[-2])
    batch = [axes.together(one[0], other[0])] if len(one) == 3 else []
    return [*batch, one[-2], other[-1]]


@rule("addmm", "addbmm", "baddbmm")
def _added(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    one, other = (
        axes.of(given.get("mat1", given.get("batch1"))),
        axes.of(given.get("mat2", given.get("batch2"))),
    )
    axes.together(one[-1], other[-2])
    batch = [axes.together(one[0], other[0])] if len(one) == 3 and out.dim() == 3 else []
    found = [*batch, one[-2], other[-1]]
    bias = axes.of(given["self"])
    for back in range(1, len(bias) + 1):
        if len(bias[-back]) == len(found[-back]):
            found[-back] = axes.together(found[-back], bias[-back])
    return found


@rule("mv", "dot")
def _mapped(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    one = axes.of(given["self"])
    axes.together(one[-1], axes.of(given.get("vec", given.get("tensor")))[0])
    return one[:-1]


@rule("convolution", "_convolution", "mkldnn_convolution", "cudnn_convolution")
def _convolved(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    known, weight, groups = axes.of(given["input"]), axes.of(given["weight"]), given["groups"]
    read, made = (weight[0], weight[1]) if given["transposed"] else (weight[1], weight[0])
    if groups > 1:
        shared = made if given["transposed"] else read
        made, read = _in_groups(axes, weight[0], shared, groups, transposed=given["transposed"])
    axes.together(known[1], read)
    if given["bias"] is not None:
        made = axes.together(made, axes.of(given["bias"])[0])
    return [known[0], made, *fixed(out, 2)]


def _in_groups(
    axes: Axes, rows: Labels, shared: Labels, groups: int, *, transposed: bool
) -> tuple[Labels, Labels]:
    """Return the labels of what a grouped convolution makes and reads: whole groups go, or equal places of all groups.

    Args:
        axes: What is known.
        rows: Axis 0 of the weight, in groups.
        shared: Axis 1 of the weight, of which each group has its own.
        groups: Their number.
        transposed: Whether `rows` are read and `shared` made.
    """
    several = labelled(rows) and len(shared) > 1 and groups < len(rows)
    if not several or axes.choose((groups, len(shared))) == 0:
        whole = axes.new(groups)
        rows = axes.together(
            rows, np.repeat(whole, len(rows) // groups)
        )  # A constant's rows follow its groups.
        axes.fix(shared, "its group stays whole")
        other = np.repeat(whole, len(shared))
        note_lengths(axes, [whole])
        chosen = whole
    else:
        tie_parts(axes, rows, groups)
        other, chosen = np.tile(shared, groups), shared
    if several:
        axes.chose(chosen)
    return (other, rows) if transposed else (rows, other)


@rule(
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
    *("cudnn_batch_norm", "batch_norm", "_batch_norm_with_update", "miopen_batch_norm"),
)
def _batch_normalised(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["input"])]
    for name in ("weight", "bias", "running_mean", "running_var"):
        if given.get(name) is not None:
            found[1] = axes.together(found[1], axes.of(given[name])[0])
    return found


@rule("native_layer_norm")
def _layer_normalised(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["input"])]
    for at in range(len(found) - len(given["normalized_shape"]), len(found)):
        if given["weight"] is None:
            axes.fix(found[at], "a layer normalisation without weights reads all of them")
            continue
        for name in ("weight", "bias"):
            if given[name] is not None:
                found[at] = axes.together(found[at], axes.of(given[name])[at - len(found)])
    return found


@rule("native_group_norm")
def _group_normalised(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["input"])]
    for name in ("weight", "bias"):
        if given[name] is not None:
            found[1] = axes.together(found[1], axes.of(given[name])[0])
    groups, size = given["group"], len(found[1])
    if not labelled(found[1]):
        return found
    if groups == size:
        note_lengths(axes, [found[1]])
    elif groups > 1:
        whole = axes.new(groups)
        axes.together(np.repeat(whole, size // groups), found[1])
        note_lengths(axes, [whole])
    elif given["weight"] is None:
        axes.fix(found[1], "a group normalisation without weights reads all of them")
    return found


@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "cumsum", "cumprod", "logcumsumexp")
def _along(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    found = [*axes.of(given["self"])]
    axes.fix(found[given["dim"]], "each depends on all of them")
    if labelled(found[given["dim"]]):
        found[given["dim"]] = np.full(len(found[given["dim"]]), FIXED)
    return found


@rule("max", "min", "argmax", "argmin", "prod", "norm", "any", "all", "aminmax")
def _picked_out(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    if isinstance(given.get("other"), Tensor):
        return _pointwise(axes, given, out)
    return _over(axes, given, out, loose=False)


@rule(*REDUCTIONS)
def _reduced(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    return _over(axes, given, out, loose=True)


def _over(axes: Axes, given: Given, out: Tensor, *, loose: bool) -> list[Labels]:
    """Reduce over what is left of the axes that may lose positions; or over all of it, and then they stay."""
    known = axes.of(given["self"])
    dims = given.get("dim")
    gone = {
        at % max(1, len(known)) for at in ([dims] if isinstance(dims, int) else dims or range(len(known)))
    }
    several = loose and any(labelled(known[at]) for at in gone)
    over_those_left = several and axes.choose((1, 1)) == 0
    for at in gone:
        if over_those_left:
            axes.reduced[axes.reductions, at] = known[at]
            axes.loose.add(axes.step)
        else:
            axes.fix(known[at], "a mean, sum or maximum is taken over all of them")
    if several:
        axes.chose(np.concatenate([known[at] for at in gone]))
    if out.dim() == len(known):
        return [np.full(1, FREE) if at in gone else labels for at, labels in enumerate(known)]
    return [labels for at, labels in enumerate(known) if at not in gone]


@rule(
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices"),
    *("max_pool3d_with_indices", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    *("adaptive_max_pool2d", "adaptive_max_pool3d", "upsample_nearest1d", "upsample_nearest2d"),
    *("upsample_bilinear2d", "upsample_bicubic2d", "upsample_nearest3d", "upsample_trilinear3d"),
    *("_upsample_nearest_exact2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
    *("upsample_linear1d", "reflection_pad2d", "replication_pad2d", "reflection_pad1d"),
    *("replication_pad1d", "max_pool2d", "mkldnn_max_pool2d", "grid_sampler_2d"),
)
def _spatial(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    """Pass images and channels on; the axes of space stay."""
    return [*axes.of(given.get("self", given.get("input")))[:2], *fixed(out, 2)]


@rule(
    *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention"),
    *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
    *("_scaled_dot_product_fused_attention_overrideable", "_scaled_dot_product_attention_math"),
)
def _attended(axes: Axes, given: Given, out: Tensor) -> list[Labels]:
    query, key, value = (axes.of(given[name]) for name in ("query", "key", "value"))
    for labels in (query[-1], key[-1]):
        axes.fix(labels, "the width of a head sets the scale of its scores")
    found = [
        axes.together(axes.together(q, k), v)
        for q, k, v in zip(query[:-2], key[:-2], value[:-2], strict=True)
    ]
    mask = given.get("attn_mask", given.get("attn_bias"))
    if isinstance(mask, Tensor):
        for at, labels in enumerate(axes.of(mask)[:-2], start=len(found) - mask.dim() + 2):
            if len(labels) == len(found[at]):
                found[at] = axes.together(found[at], labels)
    return [*found, query[-2], value[-1]]
