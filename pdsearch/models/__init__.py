"""Which networks are there, how are they built, and how large are they?"""

from pdsearch.models.finite import listed, not_finite, state_of, was_not_finite
from pdsearch.models.fold import folded
from pdsearch.models.measure import count_flops, count_params, has_depthwise, latency
from pdsearch.models.network import Network
from pdsearch.models.registry import Builder, build, lasting, models, without_weights
from pdsearch.models.slim import plan_from_masks
from pdsearch.models.weights import file_hash, fit_weights, read_weights

__all__ = [
    "Builder",
    "Network",
    "build",
    "count_flops",
    "count_params",
    "file_hash",
    "fit_weights",
    "folded",
    "has_depthwise",
    "lasting",
    "latency",
    "listed",
    "models",
    "not_finite",
    "plan_from_masks",
    "read_weights",
    "state_of",
    "was_not_finite",
    "without_weights",
]
