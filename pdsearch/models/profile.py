"""Size and speed of a network: weights, operations and latency for one image; what torch.compile is to skip."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

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
    counter = flop_counter.FlopCounterMode(display=False)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # The counter does not know torch's fused attention.
    try:
        with _measured(model), counter:
            model(_image(model, input_shape))
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops())


def latency(model: nn.Module, input_shape: tuple[int, ...], *, runs: int = 50) -> float:
    """Return the median time of a forward pass of one image on the model's device, in milliseconds.

    Args:
        model: Any network; not changed.
        input_shape: Shape of one input: (C, H, W) of an image.
        runs: Timed passes, after a fifth as many warm-up passes.
    """
    image = _image(model, input_shape)
    times = []
    with _measured(model):
        for _ in range(runs + max(1, runs // 5)):
            start = time.perf_counter()
            model(image)
            if image.is_cuda:
                torch.cuda.synchronize(image.device)
            times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[-runs:])


def _image(model: nn.Module, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.zeros(1, *shape, device=next(model.parameters()).device)


@contextmanager
def _measured(model: nn.Module) -> Iterator[None]:
    # The counter follows what needs gradients, and fails where that is a module's input.
    trained = [parameter.requires_grad_(False) for parameter in model.parameters() if parameter.requires_grad]
    try:
        with evaluating(model):
            yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def leave_alone(*functions: Callable[..., object]) -> None:
    """Mark functions of torch as skipped by torch.compile, as torch itself does at their first call.

    To do so torch imports the whole compiler: a second and 150 MB in every process, although nothing here is compiled.
    A version of torch that marks them in another way imports it as before, with the same results.

    Args:
        functions: Functions that torch decorated for this; others are left unchanged.
    """
    for function in functions:
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            vars(inner).setdefault("__dynamo_disable", inner)
