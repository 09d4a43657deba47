"""Features of a network: those it shows, or the outputs of layers that are named, as maps (B, C, H, W)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from math import isqrt

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.network import Network


def logits_and_features(
    model: nn.Module, images: Tensor, layers: Sequence[str] = ()
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a network's logits, and its features by name.

    Args:
        model: Any network if layers are named; else one with `features` and `classifier`, as `Network`.
        images: Normalised, on the network's device.
        layers: Names of the layers whose outputs are stage1, stage2, ... instead of those that the network shows.

    Raises:
        ConfigError: A layer does not exist, or its output is no map.
    """
    found = find_layers(model, layers)
    with outputs_of(found) as seen:
        if isinstance(model, Network):
            logits, features = model.logits_and_features(images)
        elif callable(getattr(model, "features", None)) and hasattr(model, "classifier"):
            features = model.features(images)  # type: ignore[operator]
            logits = model.classifier(features["pooled"])  # type: ignore[operator]
        else:
            logits, features = model(images), {}
    if not layers:
        return logits, features
    stages = {f"stage{n}": _map(seen, name, images) for n, name in enumerate(found, start=1)}
    return logits, stages | {name: maps for name, maps in features.items() if not name.startswith("stage")}


def find_layers(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Return the layers of some names; those of a network of torchvision or timm are the names that it has there.

    Raises:
        ConfigError: There is no such layer.
    """
    known = {name.removeprefix("trunk."): module for name, module in model.named_modules() if name}
    found = {}
    for name in names:
        if name.removeprefix("trunk.") not in known:
            near = get_close_matches(name, known, n=3) or [*known][:3]
            hint = f"near are: {', '.join(near)}; `pdsearch list models NAME` shows more"
            raise ConfigError(f"the network has no layer {name!r}", hint=hint)
        found[name] = known[name.removeprefix("trunk.")]
    return found


MOST_LAYERS = 60
"""Layers that are shown before those of the inner levels are left out."""


def map_layers(model: nn.Module, images: Tensor) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return the shape of one map, and the stage or "", of every layer that gives maps and has layers or is outermost.

    Args:
        model: Any network.
        images: (1, C, H, W), on its device.
    """
    named = {name.removeprefix("trunk."): module for name, module in model.named_modules() if name}
    blocks = {n: m for n, m in named.items() if "." not in n or any(True for _ in m.children())}
    with torch.no_grad(), outputs_of(blocks) as seen:
        shown = logits_and_features(model.eval(), images)[1]
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for name, output in seen.items():
        maps = as_map(output, images)
        if maps is not None and name != "trunk":
            stage = [key for key, value in shown.items() if value is output or value._base is output]
            found[name] = tuple(maps.shape[1:]), stage[0] if stage else ""
    depth = 9
    while len(found) > MOST_LAYERS and depth:
        found = {name: each for name, each in found.items() if name.count(".") < depth or each[1]}
        depth -= 1
    return found


@contextmanager
def outputs_of(layers: dict[str, nn.Module]) -> Iterator[dict[str, object]]:
    """Collect the outputs of layers by name, in the order in which they are computed, while the block runs."""
    seen: dict[str, object] = {}

    def listen(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: seen.__setitem__(name, output)

    handles = [module.register_forward_hook(listen(name)) for name, module in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def as_map(output: object, images: Tensor) -> Tensor | None:
    """Return a layer's output as a map (B, C, H, W); None if it is none.

    Tokens (B, N, C) become the square of the last of them, without class tokens before it. Maps whose channels are
    last, (B, H, W, C), are known by the ratio of the sides, which is that of the images.
    """
    if not isinstance(output, Tensor) or output.dim() not in (3, 4):
        return None
    if output.dim() == 3:
        batch, tokens, width = output.shape
        side = isqrt(tokens)
        return output[:, tokens - side**2 :].transpose(1, 2).reshape(batch, width, side, side)
    _, first, second, third = output.shape
    ratio = images.shape[-2] / images.shape[-1]
    channels_last = abs(first / second - ratio) < abs(second / third - ratio)
    return output.permute(0, 3, 1, 2) if channels_last else output


def _map(seen: dict[str, object], name: str, images: Tensor) -> Tensor:
    if name not in seen:
        raise ConfigError(
            f"the layer {name} computes nothing", hint="name another: it is not called as a module"
        )
    maps = as_map(seen[name], images)
    if maps is None:
        output = seen[name]
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        what = f"the layer {name} gives {shape}, no map (B, C, H, W) or tokens (B, N, C)"
        raise ConfigError(what, hint="`pdsearch list models NAME` shows layers that do")
    return maps
