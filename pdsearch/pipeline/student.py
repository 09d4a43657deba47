"""The student's network: a fixed architecture, or one derived from the pruned teacher's masks."""

from dataclasses import dataclass, field

from torch import nn

from pdsearch.data import Dataset
from pdsearch.errors import TrialError
from pdsearch.models import count_flops, count_params, latency, without_weights
from pdsearch.models.width_solver import plan_from_masks
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import Teacher, blank
from pdsearch.specs import Json, StudentSpec, TrialSpec

__all__ = ["FROM_TEACHER", "Student", "latency_of", "shaped", "student"]

FROM_TEACHER = "from_teacher"


@dataclass(frozen=True)
class Student:
    """An untrained student.

    Args:
        model: The module; its initial weights depend on the trial's seed alone.
        shape: Its architecture, fixed or derived.
        params: Number of its weights.
        flops: Floating-point operations of one image's forward pass, a multiply-add counted as two.
    """

    model: nn.Module
    shape: StudentSpec
    params: int
    flops: int = field(default=0)

    def facts(self) -> dict[str, Json]:
        """Return its facts for the record."""
        return {
            "model": self.shape.model,
            "options": {name: _plain(value) for name, value in self.shape.options},
            "params": self.params,
            "flops": self.flops,
        }


def student(spec: TrialSpec, data: Dataset, teacher: Teacher | None, site: WorkerContext) -> Student:
    """Return the student of a trial."""
    shape = shaped(spec, data, teacher)
    model = blank(shape.model, shape.options, data, spec.distill.seed)
    size = data.inputs.shape
    name = ("flops", shape.model, repr(shape.options), repr(size), str(data.num_classes))
    flops = site.kept.get(name, lambda: (count_flops(model, size), 8))
    return Student(site.engine(spec.precision).place(model), shape, count_params(model), flops)


def latency_of(student: Student, data: Dataset, site: WorkerContext) -> float:
    """Return the median milliseconds of one image's forward pass on the site; measured once per shape and worker."""
    size = data.inputs.shape
    name = ("latency", student.shape.model, repr(student.shape.options), repr(size), str(data.num_classes))
    found: float = site.kept.get(name, lambda: (latency(student.model, size), 8))
    return found


def shaped(spec: TrialSpec, data: Dataset, teacher: Teacher | None) -> StudentSpec:
    """Return the named architecture, or that derived from the teacher's masks: the teacher's own if it is unpruned."""
    if spec.student.model != FROM_TEACHER:
        return spec.student
    if teacher is None:
        raise TrialError("a student shaped by its teacher needs one", where="student.model")
    options = plan_from_masks(
        spec.teacher.model,
        teacher.mask or {},
        num_classes=data.num_classes,
        input_shape=data.inputs.shape,
        options=without_weights(spec.teacher.model, spec.teacher.options),
    )
    return StudentSpec(spec.teacher.model, options, spec.teacher.code)


def _plain(value: object) -> Json:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} cannot be a model's option")
