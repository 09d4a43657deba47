"""Which networks are there, how are they built, and how large are they?"""

from pdsearch.models.fold import folded
from pdsearch.models.measure import count_flops, count_params, latency
from pdsearch.models.network import Network
from pdsearch.models.registry import Builder, build, models
from pdsearch.models.slim import plan_from_masks

__all__ = [
    "Builder",
    "Network",
    "build",
    "count_flops",
    "count_params",
    "folded",
    "latency",
    "models",
    "plan_from_masks",
]
