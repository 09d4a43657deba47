"""Size and speed of a network: weights, operations and latency for one image."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import nn

from pdsearch.models.compiler import leave_alone
from pdsearch.models.copies import copied
from pdsearch.models.state_tensors import evaluating


def count_params(model: nn.Module) -> int:
    """Return the number of weights: all parameters, zeros and biases included; no buffers."""
    return sum(parameter.numel() for parameter in model.parameters())


def has_depthwise(model: nn.Module) -> bool:
    """Return whether a network has depthwise convolutions."""
    convolutions = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    return any(conv.groups == conv.in_channels > 1 for conv in convolutions)


def count_flops(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Return the floating-point operations of one image's forward pass.

    A multiply-add counts as two, so this is twice the "MACs" of other tools; only convolutions and matrix
    products count. Zeros left by unstructured pruning count like any weight.

    Args:
        model: Any network; not changed.
        input_shape: Shape of one input: (C, H, W) of an image.
    """
    from torch.utils import flop_counter  # Imported here: it loads Triton, which a driver never needs.

    mode = getattr(flop_counter, "_FlopCounterMode", None)  # The dispatch mode inside the public counter.
    if mode is not None:
        leave_alone(mode.__torch_dispatch__)
    counter = flop_counter.FlopCounterMode(display=False, custom_mapping=_unknown_to_the_counter())
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # Nor does the counter know torch's fused attention.
    try:
        with _measured(model) as twin, counter:
            twin(_image(model, input_shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops())


def _unknown_to_the_counter() -> dict[object, Callable[..., int]]:
    """Return formulas, over shapes, of products that torch's counter passes over: fused recurrent layers and others."""
    aten = torch.ops.aten

    def recurrent(sequence: torch.Size, *given: Any, **_: Any) -> int:
        # Every step multiplies by each matrix: of a layer on a CPU, the first two of four, on a GPU of a list of all.
        flat = [shape for item in given[:4] for shape in (item if isinstance(item, list) else [item])]
        matrices = (prod(shape) for shape in flat if isinstance(shape, torch.Size) and len(shape) == 2)
        return 2 * prod(sequence[:-1]) * sum(matrices)

    def bilinear(inputs: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
        return 2 * prod(inputs[:-1]) * prod(weight)

    def by_vector(matrix: torch.Size, *_: Any, **__: Any) -> int:
        return 2 * prod(matrix)

    return {
        aten.mkldnn_rnn_layer: recurrent,
        aten._cudnn_rnn: recurrent,
        aten._trilinear: bilinear,
        aten.mv: by_vector,
        aten.dot: by_vector,
    }


def latency(model: nn.Module, input_shape: tuple[int, ...], *, runs: int = 50) -> float:
    """Return the median time of a forward pass of one image on the model's device, in milliseconds.

    Args:
        model: Any network; not changed.
        input_shape: Shape of one input: (C, H, W) of an image.
        runs: Timed passes, after a fifth as many warm-up passes.
    """
    image = _image(model, input_shape)
    times = []
    with _measured(model) as twin:
        for _ in range(runs + max(1, runs // 5)):
            start = time.perf_counter()
            twin(image)
            if image.is_cuda:
                torch.cuda.synchronize(image.device)
            times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[-runs:])


def _image(model: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.zeros(1, *shape, device=next(model.parameters()).device)


@contextmanager
def _measured(model: nn.Module) -> Iterator[nn.Module]:
    """Yield a copy to run on zeros, in evaluation mode: a first pass may set buffers that training starts from."""
    # The counter follows what needs gradients, and fails where that is a module's input.
    twin = copied(model).requires_grad_(False)
    with evaluating(twin):
        yield twin
