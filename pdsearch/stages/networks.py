"""How does a stage hold a network? Built from its name, its weights from an artifact, with what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from pdsearch.data import Dataset
from pdsearch.models import build
from pdsearch.pruning import Mask
from pdsearch.specs import Json, Params
from pdsearch.stages.site import Site
from pdsearch.training import accuracy

__all__ = ["Network", "blank", "measure", "packed", "unpacked"]

_MASK = "mask/"


@dataclass(frozen=True)
class Network:
    """A trained network.

    Args:
        key: Of its artifact.
        model: The module, in evaluation mode, on the site's device.
        mask: Of a pruned network; None for a dense one.
        meta: What its stage said of it: val_accuracy, epochs, seconds.
    """

    key: str
    model: nn.Module
    mask: Mask | None
    meta: Mapping[str, Json]


def blank(name: str, options: Params, data: Dataset, seed: int) -> nn.Module:
    """Return an untrained network for a data set."""
    return build(
        name,
        num_classes=data.num_classes,
        channels=data.channels,
        image_size=data.image_size,
        seed=seed,
        options=options,
    )


def packed(model: nn.Module, mask: Mask | None = None) -> dict[str, Tensor]:
    """Return a network's weights, and its mask, as the tensors of one artifact."""
    masks = {} if mask is None else {f"{_MASK}{name}": tensor for name, tensor in mask.items()}
    return {**model.state_dict(), **masks}


def unpacked(model: nn.Module, tensors: Mapping[str, Tensor]) -> Mask | None:
    """Load an artifact's weights into a network and return its mask, if it has one."""
    masks = {name.removeprefix(_MASK): tensor for name, tensor in tensors.items() if name.startswith(_MASK)}
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith(_MASK)})
    return Mask(masks) if masks else None


def measure(model: nn.Module, data: Dataset, part: str, site: Site, precision: str) -> float:
    """Return a network's accuracy on "val" or "test", in [0, 1]."""
    split = data.val if part == "val" else data.test
    return accuracy(model, split, mean=data.mean, std=data.std, engine=site.engine(precision))
