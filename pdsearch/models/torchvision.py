"""torchvision's classifiers by name, and the weights that it publishes for them."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import torch
import torchvision.models
from torch import Tensor, nn
from torchvision.models.vision_transformer import interpolate_embeddings

from pdsearch.errors import ConfigError, DataError
from pdsearch.models.published import PublishedNetwork, try_size
from pdsearch.models.weights import fit_weights

NO_WEIGHTS = "none"

WITH_AUXILIARY = ("googlenet", "inception_v3")
"""Networks with auxiliary classifiers; they also turn ImageNet's normalisation into their own."""

SQUEEZENET_HEAD = "classifier.1"
"""The one last layer that is not linear: a 1x1 convolution, before ReLU and the mean over positions."""

MOMENTUM = 0.1
"""Of MNASNet's batch normalisation: torchvision's 0.0003 needs ten thousand steps to find its statistics, and
until then evaluation normalises by those of an untrained network."""

ANY_SIZE = ("swin",)
"""Networks that take smaller images than those that torchvision names as the smallest."""


def builder(name: str) -> Callable[..., nn.Module]:
    """Return the builder of torchvision's model `name`; its one option, `weights`, loads published weights.

    Raises:
        ConfigError: torchvision has no such classifier.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = get_close_matches(name, known, n=1) or ["resnet18"]
        hint = f"did you mean torchvision/{near[0]}?" if name else "e.g. torchvision/resnet18"
        raise ConfigError(f"torchvision has no classifier {name!r}", where="model", hint=hint)

    def build(*, num_classes: int, channels: int, image_size: int, weights: str = NO_WEIGHTS) -> nn.Module:
        """Torchvision's classifier of that name, for colour images; its last layer has as many outputs as classes.

        Args:
            num_classes: Width of the logits.
            channels: Channels of an image, 3.
            image_size: Height and width of an image.
            weights: Published weights to start from, DEFAULT or a name of torchvision's; none draws them.
        """
        if channels != 3:
            raise ConfigError(
                f"it takes 3 channels, the images have {channels}",
                hint="`pdsearch list models` has networks for any number",
            )
        trunk = torchvision.models.get_model(
            name, weights=None, num_classes=num_classes, **_arguments(name, image_size)
        )
        for layer in trunk.modules():
            if name.startswith("mnasnet") and isinstance(layer, nn.BatchNorm2d):
                layer.momentum = MOMENTUM
        network = PublishedNetwork(trunk, _head(name, trunk), linear=not name.startswith("squeezenet"))
        smallest = int(_default(name).meta["min_size"][0])
        if image_size < smallest and not name.startswith(ANY_SIZE):
            try_size(network, (3, image_size, image_size), f"it needs images of {smallest} pixels or more")
        if weights != NO_WEIGHTS:
            _fill(network, name, weights)
        return network

    return build


def usual_size(name: str) -> int:
    """Return the height and width of the images that a network was published for, in pixels."""
    return int(_default(name).transforms().crop_size[0])


def weights_name(name: str, weights: str) -> str:
    """Return the permanent name of published weights: DEFAULT changes between versions of torchvision.

    Raises:
        ConfigError: There are no such weights.
    """
    return weights if weights == NO_WEIGHTS else str(_published(name, weights).name)


def _arguments(name: str, size: int) -> dict[str, Any]:
    """Return what the network is built with beside its classes."""
    if name in WITH_AUXILIARY:
        return {"aux_logits": False, "init_weights": True, "transform_input": True}
    if name.startswith("vit_"):
        _refuse_between(int(name.rpartition("_")[2]), size)
        return {"image_size": size}
    if name.startswith("maxvit"):
        _refuse_between(usual_size(name), size)
        return {"input_size": (size, size)}
    return {}


def _refuse_between(unit: int, size: int) -> None:
    """Refuse images whose size is no multiple of a patch or window."""
    if size % unit:
        near = max(1, round(size / unit)) * unit
        hint = f"set data.options.image_size to {near}, or choose another model"
        raise ConfigError(f"it takes images of a multiple of {unit} pixels, not {size}", hint=hint)


def _head(name: str, trunk: nn.Module) -> str:
    if name.startswith("squeezenet"):
        return SQUEEZENET_HEAD
    return [str(path) for path, module in trunk.named_modules() if isinstance(module, nn.Linear)][-1]


def _default(name: str) -> Any:
    known: Any = torchvision.models.get_model_weights(name)
    return known.DEFAULT


def _published(name: str, weights: str) -> Any:
    known: Any = torchvision.models.get_model_weights(name)
    if weights not in known.__members__:
        what = f"torchvision/{name} has no weights {weights!r}"
        raise ConfigError(what, where="options.weights", hint=f"known: {', '.join(known.__members__)}, none")
    return known[weights]


def _fill(network: PublishedNetwork, name: str, weights: str) -> None:
    """Load published weights, downloaded once; the classifier stays random if the number of classes differs."""
    published = _published(name, weights)
    try:
        found = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        folder = f"{torch.hub.get_dir()}/checkpoints"
        hint = f"connect to the network, put the file into {folder}, or leave out options.weights"
        what = f"the weights of torchvision/{name} cannot be had: {error}"
        raise DataError(what, where=published.url, hint=hint) from error
    named = network.own_names(_resized_positions(network, found))
    for last, fresh in network.state_dict().items():
        if last.startswith((HEAD, f"trunk.{SQUEEZENET_HEAD}.")) and named[last].shape != fresh.shape:
            named[last] = fresh
    fit_weights(network, named, where=published.url)


HEAD = "classifier."


def _resized_positions(network: PublishedNetwork, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a state dict whose embeddings of positions are interpolated to the network's image size, if it has any."""
    trunk = network.trunk
    if not isinstance(trunk, torchvision.models.VisionTransformer):
        return found
    resized: Mapping[str, Tensor] = interpolate_embeddings(trunk.image_size, trunk.patch_size, dict(found))
    return resized
