"""Parts of the tests of the room beside the registered ones: their parameters are of every kind and never change."""

from dataclasses import dataclass, replace

from pdsearch.distillation.registry import losses as registered_losses
from pdsearch.pruning.registry import methods as registered_methods
from pdsearch.registry import parameter


@dataclass(frozen=True)
class MarginParams:
    temperature: float = parameter(2.0, help="softens", low=0.1, high=10.0, log=True)
    margin: float = parameter(1.0, help="distance", low=0.0)


@dataclass(frozen=True)
class TaylorParams:
    batches: int = parameter(4, help="batches to look at", low=1, high=100)
    layers: tuple[int, ...] = parameter((1, 2), help="layers to look at")


taylor, kd = registered_methods.get("taylor"), registered_losses.get("kd")
methods = replace(
    registered_methods,
    _entries={**registered_methods._entries, "taylor": replace(taylor, params=TaylorParams)},
)
losses = replace(
    registered_losses,
    _entries={**registered_losses._entries, "margin": replace(kd, name="margin", params=MarginParams)},
)
