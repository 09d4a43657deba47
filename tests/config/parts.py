"""A catalog for the tests of the room: they neither load torch nor depend on what is registered."""

from collections.abc import Sequence
from dataclasses import dataclass

from pdsearch.config import Catalog
from pdsearch.registry import NoParams, parameter
from pdsearch.user_code import Options


@dataclass(frozen=True)
class KdParams:
    temperature: float = parameter(4.0, help="softens", low=0.1, high=100.0, log=True)
    alpha: float = parameter(0.9, help="weight of the soft term", low=0.0, high=1.0)
    standardise: bool = parameter(False, help="standardise logits", choices=(False, True))


@dataclass(frozen=True)
class MarginParams:
    temperature: float = parameter(2.0, help="softens", low=0.1, high=10.0, log=True)
    margin: float = parameter(1.0, help="distance", low=0.0)


@dataclass(frozen=True)
class TaylorParams:
    batches: int = parameter(4, help="batches to look at", low=1, high=100)
    layers: tuple[int, ...] = parameter((1, 2), help="layers to look at")


CATALOG = Catalog(
    sources={"digits": Options(), "parquet": Options({"label": str, "test": str})},
    augmentations=("none", "crop", "crop_flip"),
    samplers=("random", "tpe"),
    models={
        "convnet_s": Options({"widths": Sequence[int]}),
        "convnet_l": Options({"widths": Sequence[int]}),
        "resnet8": Options(),
        "resnet20": Options(),
    },
    methods={"magnitude": NoParams, "random": NoParams, "taylor": TaylorParams},
    losses={"kd": KdParams, "ce": NoParams, "margin": MarginParams},
)
