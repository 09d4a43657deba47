"""The student's network: a fixed architecture, or one shaped by the pruned teacher's masks."""

from dataclasses import dataclass, field

from torch import nn

from pdsearch.data import Dataset
from pdsearch.errors import TrialError
from pdsearch.models import count_flops, count_params
from pdsearch.specs import Json, StudentSpec, TrialSpec
from pdsearch.stages.networks import Network, blank
from pdsearch.stages.site import Site

__all__ = ["Student", "student"]


@dataclass(frozen=True)
class Student:
    """An untrained student.

    Args:
        model: The module; its initial weights are drawn from the trial's seed alone.
        shape: The architecture it has, whatever it came from.
        params: Number of its weights.
        flops: Floating-point operations of one image's forward pass, a multiply-add counted as two.
    """

    model: nn.Module
    shape: StudentSpec
    params: int
    flops: int = field(default=0)

    def facts(self) -> dict[str, Json]:
        """Return what a record holds of it."""
        return {
            "model": self.shape.model,
            "options": {name: _plain(value) for name, value in self.shape.options},
            "params": self.params,
            "flops": self.flops,
        }


def student(spec: TrialSpec, data: Dataset, teacher: Network | None, site: Site) -> Student:
    """Return the student of a trial."""
    shape = spec.student
    if shape.model == "from_teacher":
        raise TrialError("from_teacher is not available", hint=f"name a model; the teacher is {teacher}")
    model = blank(shape.model, shape.options, data, spec.distill.seed)
    size = (data.channels, data.image_size, data.image_size)
    name = ("flops", shape.model, repr(shape.options), repr(size))
    flops = site.kept.get(name, lambda: (count_flops(model, size), 8))
    return Student(site.engine(spec.precision).place(model), shape, count_params(model), flops)


def _plain(value: object) -> Json:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be a model's option")
