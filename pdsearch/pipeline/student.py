"""The student's network: a fixed architecture, or one that the pruned teacher leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from pdsearch.data.dataset.dataset import Dataset
from pdsearch.errors import ConfigError, TrialError
from pdsearch.models import (
    copied,
    count_flops,
    count_params,
    latency,
    plan_from_masks,
    takes_widths,
    with_plain_weights,
    without_weights,
)
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.networks import Teacher, an_image, blank, untrained
from pdsearch.protocol import StudentFacts
from pdsearch.pruning import find_channels, implied_widths, kept_channels, kept_part, narrow
from pdsearch.pruning.registry import methods
from pdsearch.records.students import StudentKind
from pdsearch.specs import StudentSpec, TrialSpec

FROM_TEACHER = "from_teacher"


@dataclass(frozen=True)
class Student:
    """An untrained student.

    Args:
        model: The module; its initial weights depend on the trial's seed alone, or are a teacher's.
        shape: Its architecture, fixed or derived.
        params: Number of its weights.
        flops: Floating-point operations of one image's forward pass, a multiply-add counted as two.
        whole: Channels of the whole network, of each layer that the shape narrows.
    """

    model: nn.Module
    shape: StudentSpec
    params: int
    flops: int = field(default=0)
    whole: Mapping[str, int] = field(default_factory=dict)

    def facts(self) -> StudentFacts:
        """Return its facts for the record."""
        return StudentFacts(
            model=self.shape.model,
            options=dict(self.shape.options),
            params=self.params,
            flops=self.flops,
            widths={name: (width, self.whole[name]) for name, width in self.shape.widths},
        )

    def check_is(self, expected: StudentKind) -> None:
        """Refuse a student of another shape than the trial's that it confirms.

        A pruned teacher that was removed is built again under its key, and another version, or the last bits of another
        machine, may leave other channels of it.
        """
        if self.facts().built != expected:
            what = (
                f"its teacher was pruned again and leaves a student of {self.params:,} weights, not the one"
            )
            hint = "give the space another study: name, where it is searched with the teachers that there are now"
            params = "" if expected.params is None else f" of {expected.params:,}"
            raise TrialError(f"{what}{params} that was searched", where="student.model", hint=hint)


def student(spec: TrialSpec, data: Dataset, teacher: Teacher | None, site: WorkerContext) -> Student:
    """Return the student of a trial.

    Args:
        spec: The trial; with kept weights, the one whose teacher they come from (`keys.starting`).
        data: The images.
        teacher: The teacher that shapes it, pruned or dense; None for a named architecture.
        site: Where it will be trained.
    """
    shape = shaped(spec, data, teacher)
    whole = untrained(shape.model, shape.options, data, spec.distill.seed, site)
    channels = (
        {tie.name: tie.size for tie in find_channels(whole, an_image(data)).ties} if shape.widths else {}
    )
    if spec.student.is_kept and teacher is not None:
        model = _kept(spec, data, teacher, shape)
    else:
        model = _narrowed(whole, shape, data)
    flops = site.kept.get(
        ("flops", *_described(shape, data)), lambda: (count_flops(model, data.inputs.shape), 8)
    )
    return Student(site.engine(spec.precision).place(model), shape, count_params(model), flops, channels)


def built(shape: StudentSpec, data: Dataset, seed: int) -> nn.Module:
    """Return an untrained student of a shape, with weights drawn from the seed."""
    return _narrowed(blank(shape.model, shape.options, data, seed), shape, data)


def latency_of(student: Student, data: Dataset, site: WorkerContext) -> float:
    """Return the median milliseconds of one image's forward pass on the site; measured once per shape and worker."""
    name = ("latency", *_described(student.shape, data))
    found: float = site.kept.get(name, lambda: (latency(student.model, data.inputs.shape), 8))
    return found


def _described(shape: StudentSpec, data: Dataset) -> tuple[str, ...]:
    return (
        shape.model,
        repr(shape.options),
        repr(shape.widths),
        repr(data.inputs.shape),
        str(data.num_classes),
    )


def shaped(spec: TrialSpec, data: Dataset, teacher: Teacher | None) -> StudentSpec:
    """Return the architecture of a trial's student: the named one, or what its teacher's pruning leaves.

    A family that takes `widths` gets those that its remaining weights imply (`plan_from_masks`); any other network, and
    one that keeps its weights, loses channels. The teacher's own architecture if the teacher is unpruned.

    Raises:
        ConfigError: The channels of the teacher cannot be removed.
        TrialError: There is no teacher.
    """
    if spec.student.model != FROM_TEACHER:
        return spec.student
    if teacher is None:
        raise TrialError("a student shaped by its teacher needs one", where="student.model")
    name, options = spec.teacher.model, without_weights(spec.teacher.model, spec.teacher.options)
    mask: Mapping[str, Tensor] = teacher.mask or {}
    widths: dict[str, int] = {}
    if takes_widths(name, options) and not spec.student.is_kept:
        options = plan_from_masks(
            name,
            mask,
            num_classes=data.num_classes,
            input_shape=data.inputs.shape,
            options=options,
        )
    elif mask:
        widths = _widths(spec, data, teacher)
    return StudentSpec(name, options, spec.teacher.code, widths=tuple(sorted(widths.items())))


def _widths(spec: TrialSpec, data: Dataset, teacher: Teacher) -> dict[str, int]:
    """Return the channels left of every tie that lost some."""
    assert teacher.mask is not None and spec.prune is not None
    image = an_image(data)
    options = without_weights(spec.teacher.model, spec.teacher.options)
    whole = with_plain_weights(blank(spec.teacher.model, options, data, spec.teacher.seed))
    if methods.get(spec.prune.method).structured:
        ties = find_channels(whole, image, spec.prune.exclude).ties
        left = {name: len(channels) for name, channels in kept_channels(teacher.mask, ties).items()}
        return {tie.name: left[tie.name] for tie in ties if left[tie.name] < tie.size}
    try:
        return implied_widths(whole, image, teacher.mask)
    except ConfigError as error:
        what = f"no student can be shaped from {spec.teacher.model!r}: {error.what}"
        hint = "name a student's model, or prune by a method that removes channels"
        raise ConfigError(what, where="student.model", hint=hint) from error


def _narrowed(model: nn.Module, shape: StudentSpec, data: Dataset) -> nn.Module:
    if shape.widths:
        narrow(model, an_image(data), dict(shape.widths))
    return model


def _kept(spec: TrialSpec, data: Dataset, teacher: Teacher, shape: StudentSpec) -> nn.Module:
    """Return the remaining part of the teacher, to be trained on; removed single weights are zeros to begin with."""
    model = copied(teacher.model).requires_grad_(True)
    if spec.prune is None or methods.get(spec.prune.method).structured:
        return model
    image = an_image(data).to(next(model.parameters()).device)
    return kept_part(model, image, dict(shape.widths))
