"""Attention with a width of its own computes what PyTorch's does."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pdsearch.pruning.channels.remove import NarrowAttention

TOKENS, WIDTH, HEADS = 5, 8, 2


def causal() -> Tensor:
    """The later tokens of each, True."""
    return torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)


def padding(count: int) -> Tensor:
    """The last token of each sequence, True."""
    return torch.arange(TOKENS).expand(count, TOKENS) == TOKENS - 1


@pytest.mark.parametrize("masks", ["", "bool", "float", "heads", "padding", "both"])
@pytest.mark.parametrize("form", ["batch_first", "sequence_first", "single"])
@pytest.mark.parametrize("kdim", [None, 6])
def test_masks_and_orders_are_those_of_pytorch(masks: str, form: str, kdim: int | None) -> None:
    torch.manual_seed(0)
    batch_first = form == "batch_first"
    usual = nn.MultiheadAttention(WIDTH, HEADS, batch_first=batch_first, kdim=kdim, vdim=kdim).double().eval()
    narrow = (
        nn.MultiheadAttention(WIDTH, HEADS, batch_first=batch_first, kdim=kdim, vdim=kdim).double().eval()
    )
    narrow.load_state_dict(usual.state_dict())
    narrow.__class__ = NarrowAttention  # as `shrink` makes it one
    count = 1 if form == "single" else 3
    lead = {"batch_first": (3, TOKENS), "sequence_first": (TOKENS, 3), "single": (TOKENS,)}[form]
    query = torch.randn(*lead, WIDTH).double()
    other = query if kdim is None else torch.randn(*lead, kdim).double()
    float_mask = torch.zeros(TOKENS, TOKENS).double().masked_fill(causal(), -torch.inf)
    padded = {"key_padding_mask": padding(count) if form != "single" else padding(1)[0]}
    forms: dict[str, dict[str, Any]] = {
        "": {},
        "bool": {"attn_mask": causal(), "need_weights": False},
        "float": {"attn_mask": float_mask, "average_attn_weights": False},
        "heads": {"attn_mask": causal().expand(count * HEADS, TOKENS, TOKENS)},
        "padding": padded,
        "both": {"attn_mask": causal(), **padded},
    }
    given = forms[masks]
    ours, theirs = narrow(query, other, other, **given), usual(query, other, other, **given)
    assert torch.allclose(ours[0], theirs[0], atol=1e-12)
    assert (ours[1] is None) == (theirs[1] is None)
    assert ours[1] is None or torch.allclose(ours[1], theirs[1], atol=1e-12)
