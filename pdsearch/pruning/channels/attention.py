"""PyTorch's attention with fewer heads than its embedding has room for."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class NarrowAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` some of whose heads were removed: their width is its own, not the embedding's.

    It is made of one by `as_narrow`, and keeps the names of its weights.
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


def as_narrow(module: nn.MultiheadAttention) -> None:
    """Turn an attention whose weights lost the rows of some heads into one that works with them, in place."""
    module.__class__ = NarrowAttention
    # Keeps encoders from their kernel for whole attention; of the module itself, for a copy takes what lacks for True.
    module._qkv_same_embed_dim = False
