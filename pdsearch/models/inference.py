"""Folding of batch normalisation into convolutions, for networks used for inference only."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pdsearch.models.copies import copied, with_plain_weights


def folded(model: nn.Module) -> nn.Module:
    """Return a copy, in evaluation mode, with batch normalisation folded into the convolutions before it.

    In float32 its outputs and features agree with the network's to about 1e-4 of their size. Only neighbours in an
    `nn.Sequential` are folded, where the order is certain; all others are unchanged. Weights computed from others
    (weight norm, spectral norm) are computed once.

    Args:
        model: Any network; not changed.
    """
    copy = copied(model)
    copy.eval()
    with_plain_weights(copy)
    runs = [module for module in copy.modules() if type(module) is nn.Sequential]
    with torch.no_grad():
        for run in runs:
            _fold_neighbours(run)
    return copy


def _fold_neighbours(run: nn.Sequential) -> None:
    for number, (first, second) in enumerate(pairwise(list(run))):
        if not isinstance(first, nn.Conv2d) or not isinstance(second, nn.BatchNorm2d):
            continue
        hooked = any(part._forward_hooks or part._forward_pre_hooks for part in (first, second))
        if second.track_running_stats and not second.training and not hooked:
            run[number], run[number + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
