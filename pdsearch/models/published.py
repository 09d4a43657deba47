"""Networks that others publish, torchvision's and timm's: features read by forward hooks, weights under their names."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pdsearch.errors import ConfigError
from pdsearch.models.features import as_map, outputs_of
from pdsearch.models.network import Network, pool


class PublishedNetwork(Network):
    """A classifier of torchvision or timm; if its logits come from one linear layer, that one is `classifier`.

    A stage is all layers at one resolution; hooks are set on layers down to two levels below the network.

    Args:
        trunk: The network; changed in place.
        head: Name of the layer that makes the logits, the first of several.
        linear: It alone makes them, and is linear.
    """

    def __init__(self, trunk: nn.Module, head: str, *, linear: bool) -> None:
        super().__init__()
        self._head, self._split, self.trunk = head, linear, trunk
        if linear:
            last = trunk.get_submodule(head)
            assert isinstance(last, nn.Linear)
            parent, _, name = head.rpartition(".")
            setattr(trunk.get_submodule(parent), name, nn.Identity())
            self.classifier = last

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return stage1, stage2, ...: the last map at each resolution, in order, and pooled."""
        return self.logits_and_features(images)[1]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes)."""
        answer: Tensor = self.trunk(images)
        return self.classifier(answer) if self._split else answer

    def logits_and_features(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return logits, (B, classes), and the features of the same pass."""
        taken: list[Tensor] = []

        def take(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            taken.append(inputs[0])

        handle = self.trunk.get_submodule(self._head).register_forward_pre_hook(take)
        try:
            with outputs_of(self.layers()) as seen:
                answer: Tensor = self.trunk(images)
        finally:
            handle.remove()
        pooled = answer if self._split else taken[-1]
        logits = self.classifier(answer) if self._split else answer
        found = {f"stage{n}": maps for n, maps in enumerate(self.stages(seen, images).values(), start=1)}
        return logits, found | {"pooled": pool(pooled) if pooled.dim() == 4 else pooled}

    def stages(self, seen: Mapping[str, object], images: Tensor) -> dict[str, Tensor]:
        """Return the last map at each resolution, of the outputs of `layers`, by the layer's name."""
        by_size: dict[tuple[int, ...], tuple[str, Tensor]] = {}
        for name, output in seen.items():
            maps = as_map(output, images)
            if maps is not None and maps.shape[-1] > 1:
                size = tuple(maps.shape[-2:])
                # VGG and AlexNet upsample their last maps before the classifier: that is not a stage.
                if size <= next(reversed(by_size), size):
                    by_size[size] = name, maps
        return dict(by_size.values())

    def layers(self) -> dict[str, nn.Module]:
        """Return the layers that may be a stage, by the name that they have in the published network."""
        named = {name: module for name, module in self.trunk.named_modules() if name.count(".") <= 1 and name}
        if self._split:
            return named
        tops = {name: name.partition(".")[0] for name in named}
        return {
            n: m
            for n, m in named.items()
            if tops[n] != self._head.partition(".")[0] and "head" not in tops[n]
        }

    def own_names(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Translate a published state dict to this network's names, leaving out auxiliary classifiers that it lacks."""
        if any(name.startswith("trunk.") for name in weights):
            return dict(weights)
        last = f"{self._head}." if self._split else ""
        own = {
            f"classifier.{name.removeprefix(last)}"
            if last and name.startswith(last)
            else f"trunk.{name}": tensor
            for name, tensor in weights.items()
        }
        known = self.state_dict().keys()
        return {name: tensor for name, tensor in own.items() if name in known or not _auxiliary(name)}


def try_size(network: nn.Module, shape: tuple[int, int, int], needs: str) -> None:
    """Refuse images of a size that a network cannot take, in one sentence instead of torch's about an inner layer.

    Raises:
        ConfigError: It cannot.
    """
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *shape))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        hint = "set data.options.image_size, or choose another model"
        raise ConfigError(f"{needs}, not {shape[-1]}", hint=hint) from error
    finally:
        network.train()


def _auxiliary(name: str) -> bool:
    return name.lower().startswith(("trunk.aux1.", "trunk.aux2.", "trunk.auxlogits."))
