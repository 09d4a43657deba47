"""Removal of channels from a network; its outputs equal those with the channels set to zero."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from pdsearch.pruning.channels.dependencies import Channels, Tie
from pdsearch.pruning.mask import Mask

Kept = Mapping[str, tuple[int, ...]]
"""The remaining channels of each tie, by its name: ascending indices in the unpruned network."""


def kept_channels(mask: Mask, ties: tuple[Tie, ...]) -> dict[str, tuple[int, ...]]:
    """Return the channels of each tie that a mask of the unpruned network keeps."""
    found = {}
    for tie in ties:
        part = next(part for part in tie.parts if part.name in mask)
        tensor = mask[part.name].movedim(part.axis, 0).flatten(1).any(dim=1).tolist()
        left = {c for at, c in zip(part.positions, part.channels, strict=True) if tensor[at]}
        found[tie.name] = tuple(sorted(left))
    return found


def channel_mask(kept: Kept, ties: tuple[Tie, ...], weights: Mapping[str, Tensor]) -> Mask:
    """Return a mask of the unpruned network: False for every weight that makes or reads a removed channel."""
    tensors = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
    for (name, axis), gone in removed(kept, ties).items():
        if name in tensors:
            tensors[name].index_fill_(axis, torch.tensor(gone, dtype=torch.int64), False)
    return Mask(tensors)


def removed(kept: Kept, ties: Iterable[Tie]) -> dict[tuple[str, int], list[int]]:
    """Return the removed positions of each axis."""
    found: dict[tuple[str, int], list[int]] = {}
    for tie in ties:
        left = set(kept.get(tie.name, range(tie.size)))
        for part in tie.parts:
            gone = [at for at, c in zip(part.positions, part.channels, strict=True) if c not in left]
            if gone:
                found.setdefault((part.name, part.axis), []).extend(gone)
    return found


def shrink(model: nn.Module, channels: Channels, *, kept: Kept, before: Kept | None = None) -> None:
    """Remove channels in place from all that makes, normalises or reads them.

    Frozen parameters stay frozen, shared ones shared, and the modes of training and evaluation as they are.

    Args:
        model: The unpruned network, or one reduced to `before`.
        channels: What `find_channels` found in the unpruned network.
        kept: Channels of the unpruned network to keep, some of each tie; ties not in it are unchanged.
        before: The channels the model has; None means all.
    """
    were, goes = removed(before or {}, channels.ties), removed({**(before or {}), **kept}, channels.ties)
    values = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    made: dict[int, Tensor] = {}
    for name, tensor in values:
        if id(tensor) not in made:
            smaller = tensor.detach()
            for axis in range(tensor.dim()):
                gone = set(goes.get((name, axis), ()))
                if not gone:
                    continue
                here = [
                    at
                    for at in range(tensor.shape[axis] + len(were.get((name, axis), ())))
                    if at not in set(were.get((name, axis), ()))
                ]
                index = torch.tensor(
                    [place for place, at in enumerate(here) if at not in gone], device=tensor.device
                )
                smaller = smaller.index_select(axis, index)
            made[id(tensor)] = _like(tensor, smaller)
        _put(model, name, made[id(tensor)])
    left = {
        tie.name: set(({**(before or {}), **kept}).get(tie.name, range(tie.size))) for tie in channels.ties
    }
    for length in channels.lengths:
        size = sum(1 for at in length.channels if at is None or at[1] in left.get(at[0], {at[1]}))
        setattr(model.get_submodule(length.module), length.attribute, size)
    for module in model.modules():
        _fit(module)


def _like(tensor: Tensor, smaller: Tensor) -> Tensor:
    if smaller.shape == tensor.shape:
        return tensor
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(smaller, requires_grad=tensor.requires_grad)
    return smaller


def _put(model: nn.Module, name: str, tensor: Tensor) -> None:
    parent, _, last = name.rpartition(".")
    module = model.get_submodule(parent)
    (module._parameters if last in module._parameters else module._buffers)[last] = tensor  # type: ignore[assignment]


def _fit(module: nn.Module) -> None:
    """Set the sizes that PyTorch's layers hold to those of their weights."""
    weight: Any = getattr(module, "weight", None)
    if isinstance(module, nn.MultiheadAttention):
        values = module.v_proj_weight if module.in_proj_weight is None else module.in_proj_weight.chunk(3)[2]
        whole = module.embed_dim == len(values) == len(module.out_proj.weight)
        if not whole and not isinstance(module, NarrowAttention):
            module.__class__ = NarrowAttention
            # Keeps encoders from their kernel for whole attention; a copy of the module takes what lacks for True.
            module._qkv_same_embed_dim = False
    if isinstance(module, nn.RNNBase):
        module.input_size = module.get_parameter("weight_ih_l0").shape[1]
        module.hidden_size = len(module.get_parameter("weight_hh_l0")) // {"LSTM": 4, "GRU": 3}.get(
            module.mode, 1
        )
        module.proj_size = module.proj_size and len(module.get_parameter("weight_hr_l0"))
        module._flat_weights = [getattr(module, name) for name in module._flat_weights_names]
    elif isinstance(module, nn.RNNCellBase):
        module.input_size, module.hidden_size = module.weight_ih.shape[1], module.weight_hh.shape[1]
    if isinstance(module, _NormBase) and module.running_mean is not None:
        module.num_features = len(module.running_mean)
    if not isinstance(weight, Tensor):
        return
    if isinstance(module, _ConvNd):
        made, read = (1, 0) if module.transposed else (0, 1)
        sizes = [weight.shape[0], weight.shape[1] * module.groups]
        module.out_channels, module.in_channels = sizes[made], sizes[read]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, _NormBase):
        module.num_features = len(weight)
    elif hasattr(module, "normalized_shape"):  # Layer and RMS normalisation, timm's too.
        module.normalized_shape = tuple(weight.shape)  # type: ignore[assignment]
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = len(weight)
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(weight)
    elif isinstance(module, nn.Embedding):
        module.num_embeddings, module.embedding_dim = weight.shape


class NarrowAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` some of whose heads were removed: their width is its own, not the embedding's.

    It is made of one by `shrink`, and keeps the names of its weights.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return what `nn.MultiheadAttention` returns, (N, L, E) or (L, N, E)."""
        del is_causal  # A hint: the mask says it too.
        inputs = [query, key, value]
        if not self.batch_first and query.dim() == 3:
            inputs = [given.transpose(0, 1) for given in inputs]
        single = query.dim() == 2
        if single:
            inputs = [given.unsqueeze(0) for given in inputs]
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        weights: tuple[Tensor, ...] = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        biases = (None, None, None) if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        heads = [
            functional.linear(given, weight, bias).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for given, weight, bias in zip(inputs, weights, biases, strict=True)
        ]
        bias = self._bias(heads[0], attn_mask, key_padding_mask)
        scores = heads[0] @ heads[1].transpose(-2, -1) / math.sqrt(self.head_dim)
        shares = (scores if bias is None else scores + bias).softmax(-1)
        mixed = functional.dropout(shares, self.dropout, self.training) @ heads[2]
        output = self.out_proj(mixed.transpose(1, 2).flatten(2))
        seen = (shares.mean(1) if average_attn_weights else shares) if need_weights else None
        if single:
            return output.squeeze(0), None if seen is None else seen.squeeze(0)
        return output if self.batch_first else output.transpose(0, 1), seen

    def _bias(self, like: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor | None:
        """Return what is added to the scores: -inf where a mask is True."""
        total = None
        for given in (mask, None if padding is None else padding[:, None, None]):
            if given is None:
                continue
            added = given
            if given.dtype == torch.bool:
                added = torch.zeros_like(given, dtype=like.dtype).masked_fill(given, -math.inf)
            if added.dim() == 3:
                added = added.unflatten(0, (-1, self.num_heads))
            total = added if total is None else total + added
        return total
