"""Pruning masks: one boolean tensor per parameter, True = kept."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Mask(Mapping[str, Tensor]):
    """Boolean masks by parameter name, True = kept; immutable.

    Sizes are counted over the masked parameters only; parameters not in the mask are all kept.

    Args:
        tensors: Boolean tensors, or tensors of zeros and ones, of the parameters' shapes.

    Raises:
        ValueError: A tensor holds something other than 0 and 1.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: _binary(name, tensor) for name, tensor in tensors.items()}

    @classmethod
    def full(cls, parameters: Mapping[str, Tensor]) -> "Mask":
        """Return the mask that keeps every weight of the parameters."""
        return cls({name: torch.ones_like(p, dtype=torch.bool) for name, p in parameters.items()})

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Mask":
        """Rebuild a mask from `to_tensors`, e.g. as read from a safetensors file."""
        return cls(tensors)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the mask as contiguous boolean CPU tensors, ready for safetensors."""
        return {name: tensor.cpu().contiguous().clone() for name, tensor in self._tensors.items()}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask) or self.keys() != other.keys():
            return NotImplemented if not isinstance(other, Mask) else False
        return all(torch.equal(tensor.cpu(), other[name].cpu()) for name, tensor in self.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Mask({self.remaining} of {self.total} weights in {len(self)} parameters)"

    @property
    def total(self) -> int:
        """Number of weights in the masked parameters."""
        return sum(tensor.numel() for tensor in self._tensors.values())

    @property
    def remaining(self) -> int:
        """Number of weights kept."""
        return sum(int(tensor.sum()) for tensor in self._tensors.values())

    @property
    def density(self) -> float:
        """Share of weights kept, in [0, 1]; 1 for an empty mask."""
        return self.remaining / self.total if self.total else 1.0

    @property
    def sparsity(self) -> float:
        """Share of weights removed, achieved, in [0, 1]."""
        return (self.total - self.remaining) / self.total if self.total else 0.0

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Set the removed weights of a model to zero, in place.

        Raises:
            ValueError: The model lacks a masked parameter, or it has another shape.
        """
        parameters = dict(model.named_parameters(remove_duplicate=False))
        for name, tensor in self.items():
            if name not in parameters or parameters[name].shape != tensor.shape:
                raise ValueError(f"the model has no parameter {name!r} of shape {tuple(tensor.shape)}")
            # A NaN weight times 0 stays NaN: fill instead of multiplying.
            parameters[name].masked_fill_(~tensor.to(parameters[name].device), 0.0)


def _binary(name: str, tensor: Tensor) -> Tensor:
    if tensor.dtype == torch.bool:
        return tensor.detach().clone()
    if not bool(((tensor == 0) | (tensor == 1)).all()):
        raise ValueError(f"mask {name!r} holds values other than 0 and 1")
    return tensor.detach() == 1
