"""How do torchvision's classifiers show their features as ours do? By listening to their layers."""

from collections.abc import Callable
from typing import Any

import torchvision.models
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.network import Network

__all__ = ["TorchvisionNetwork", "torchvision_builder"]
UNFIT = ("googlenet", "inception", "maxvit", "squeezenet", "swin", "vit_")


class TorchvisionNetwork(Network):
    """A torchvision classifier, its last linear layer taken out as the classifier.

    A stage is all that runs at one resolution; layers are listened to down to two levels below the network.

    Args:
        trunk: The network; changed in place.

    Raises:
        ConfigError: It does not end in a linear layer.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        path, last = [*trunk.named_modules()][-1]
        if not isinstance(last, nn.Linear):
            raise ConfigError(f"{type(trunk).__name__} does not end in a linear layer", where="model")
        parent, _, name = path.rpartition(".")
        setattr(trunk.get_submodule(parent), name, nn.Identity())
        self.trunk, self.classifier = trunk, last

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return stage1, stage2, ...: the last map at each resolution, in order, and pooled."""
        by_size: dict[tuple[int, ...], Tensor] = {}

        def listen(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.dim() == 4 and output.shape[-1] > 1:
                size = tuple(output.shape[-2:])
                # VGG and AlexNet spread their last maps over more positions: that is no stage.
                if size <= next(reversed(by_size), size):
                    by_size[size] = output

        handles = [module.register_forward_hook(listen) for module in self._layers()]
        try:
            pooled = self.trunk(images)
        finally:
            for handle in handles:
                handle.remove()
        return {f"stage{n}": maps for n, maps in enumerate(by_size.values(), start=1)} | {"pooled": pooled}

    def _layers(self) -> list[nn.Module]:
        return [module for name, module in self.trunk.named_modules() if name.count(".") <= 1 and name]


def torchvision_builder(name: str) -> Callable[..., nn.Module]:
    """Return the builder of torchvision's model `name`, with random weights; it takes no options.

    Raises:
        ConfigError: torchvision has no such classifier, or one that does not fit.
    """
    if name.startswith(UNFIT):
        hint = "auxiliary outputs, a fixed image size, channels last or no linear layer"
        raise ConfigError(f"torchvision/{name} cannot be trained here", where="model", hint=hint)
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ConfigError(
            f"torchvision has no classifier {name!r}", where="model", hint="e.g. torchvision/resnet18"
        )

    def build(*, num_classes: int, channels: int, image_size: int) -> nn.Module:  # noqa: ARG001 - all sizes pass
        if channels != 3:
            raise ConfigError(
                f"torchvision/{name} takes 3 channels, the images have {channels}", where="model"
            )
        return TorchvisionNetwork(torchvision.models.get_model(name, weights=None, num_classes=num_classes))

    return build
