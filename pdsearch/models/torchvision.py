"""torchvision's classifiers, with features read by forward hooks."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import torch
import torchvision.models
from torch import Tensor, nn

from pdsearch.errors import ConfigError, DataError
from pdsearch.models.network import Network
from pdsearch.models.weights import fit_weights

__all__ = ["TorchvisionNetwork", "torchvision_builder", "weights_name"]

NO_WEIGHTS = "none"
UNFIT = ("googlenet", "inception", "maxvit", "squeezenet", "swin", "vit_")


class TorchvisionNetwork(Network):
    """A torchvision classifier with its last linear layer split off as `classifier`.

    A stage is all layers at one resolution; hooks are set on layers down to two levels below the network.

    Args:
        trunk: The torchvision network; changed in place.

    Raises:
        ConfigError: It does not end in a linear layer.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        path, last = [*trunk.named_modules()][-1]
        if not isinstance(last, nn.Linear):
            raise ConfigError(f"{type(trunk).__name__} does not end in a linear layer")
        parent, _, name = path.rpartition(".")
        setattr(trunk.get_submodule(parent), name, nn.Identity())
        self.trunk, self.classifier, self._last = trunk, last, path

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return stage1, stage2, ...: the last map at each resolution, in order, and pooled."""
        by_size: dict[tuple[int, ...], Tensor] = {}

        def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and output.shape[-1] > 1:
                size = tuple(output.shape[-2:])
                # VGG and AlexNet upsample their last maps before the classifier: that is not a stage.
                if size <= next(reversed(by_size), size):
                    by_size[size] = output

        handles = [module.register_forward_hook(listen) for module in self._layers()]
        try:
            pooled = self.trunk(images)
        finally:
            for handle in handles:
                handle.remove()
        return {f"stage{n}": maps for n, maps in enumerate(by_size.values(), start=1)} | {"pooled": pooled}

    def own_names(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Translate a torchvision state dict to this network's parameter names; others are returned unchanged."""
        if any(name.startswith("trunk.") for name in weights):
            return dict(weights)
        last = f"{self._last}."
        return {
            f"classifier.{name.removeprefix(last)}" if name.startswith(last) else f"trunk.{name}": tensor
            for name, tensor in weights.items()
        }

    def _layers(self) -> list[nn.Module]:
        return [module for name, module in self.trunk.named_modules() if name.count(".") <= 1 and name]


def torchvision_builder(name: str) -> Callable[..., nn.Module]:
    """Return the builder of torchvision's model `name`; its one option, `weights`, loads published weights.

    Raises:
        ConfigError: torchvision has no such classifier, or one that does not fit.
    """
    if name.startswith(UNFIT):
        hint = "auxiliary outputs, a fixed image size, channels last or no linear layer"
        raise ConfigError(f"torchvision/{name} cannot be trained here", where="model", hint=hint)
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = get_close_matches(name, known, n=1) or ["resnet18"]
        hint = f"did you mean torchvision/{near[0]}?" if name else "e.g. torchvision/resnet18"
        raise ConfigError(f"torchvision has no classifier {name!r}", where="model", hint=hint)

    def build(
        *,
        num_classes: int,
        channels: int,
        image_size: int,  # noqa: ARG001 - all sizes pass
        weights: str = NO_WEIGHTS,
    ) -> nn.Module:
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
        network = TorchvisionNetwork(
            torchvision.models.get_model(name, weights=None, num_classes=num_classes)
        )
        if weights != NO_WEIGHTS:
            _fill(network, name, weights)
        return network

    return build


def weights_name(name: str, weights: str) -> str:
    """Return the permanent name of published weights: DEFAULT changes between versions of torchvision.

    Raises:
        ConfigError: There are no such weights.
    """
    return weights if weights == NO_WEIGHTS else str(_published(name, weights).name)


def _published(name: str, weights: str) -> Any:
    known: Any = torchvision.models.get_model_weights(name)
    if weights not in known.__members__:
        what = f"torchvision/{name} has no weights {weights!r}"
        raise ConfigError(what, where="options.weights", hint=f"known: {', '.join(known.__members__)}, none")
    return known[weights]


def _fill(network: TorchvisionNetwork, name: str, weights: str) -> None:
    """Load published weights, downloaded once; the classifier stays random if the number of classes differs."""
    published = _published(name, weights)
    try:
        found = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        folder = f"{torch.hub.get_dir()}/checkpoints"
        hint = f"connect to the network, put the file into {folder}, or leave out options.weights"
        what = f"the weights of torchvision/{name} cannot be had: {error}"
        raise DataError(what, where=published.url, hint=hint) from error
    named = network.own_names(found)
    for last, fresh in network.classifier.state_dict().items():
        if named[f"classifier.{last}"].shape != fresh.shape:
            named[f"classifier.{last}"] = fresh
    fit_weights(network, named, where=published.url)
