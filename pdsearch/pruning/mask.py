"""Pruning masks: one boolean tensor per parameter, True = kept."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class Mask(Mapping[str, Tensor]):
    """Boolean masks by parameter name, True = kept; immutable.

    Sizes are counted over the masked parameters only; parameters not in the mask are all kept.

    Args:
        tensors: Boolean tensors of the parameters' shapes; they are copied.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: tensor.detach().bool().clone() for name, tensor in tensors.items()}

    @classmethod
    def full(cls, parameters: Mapping[str, Tensor]) -> "Mask":
        """Return the mask that keeps every weight of the parameters."""
        return cls({name: torch.ones_like(p, dtype=torch.bool) for name, p in parameters.items()})

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
