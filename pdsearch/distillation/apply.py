"""Application of a registered loss to a batch: its adapter, if it has one, then the loss function."""

from torch import Generator, Tensor, nn

from pdsearch.distillation.registry import DistillationLoss, FeatureShapes, Outputs
from pdsearch.errors import ConfigError, TrialError


def make_adapter(
    entry: DistillationLoss,
    student: FeatureShapes,
    teacher: FeatureShapes,
    *,
    images: int,
    generator: Generator,
    params: object,
) -> nn.Module | None:
    """Return the module that a loss trains with the student, or None.

    Args:
        entry: A registered loss.
        student: Feature shapes of the student for one image, by name.
        teacher: Feature shapes of the teacher likewise.
        images: Number of training images.
        generator: The only source of the module's initial values.
        params: An instance of the loss's parameter dataclass.
    """
    return None if entry.adapter is None else entry.adapter(student, teacher, images, generator, params)


def teach(
    entry: DistillationLoss,
    student: Outputs,
    teacher: Outputs | None,
    targets: Tensor,
    *,
    params: object,
    adapter: nn.Module | None = None,
    index: Tensor | None = None,
) -> Tensor:
    """Return the loss of one batch, a scalar to differentiate.

    Args:
        entry: A registered loss.
        student: Outputs of the network being trained.
        teacher: Outputs of the frozen teacher; None if the loss needs none.
        targets: Class indices, int64 (B,), or probabilities, float (B, classes).
        params: An instance of the loss's parameter dataclass.
        adapter: Module from `make_adapter`.
        index: Positions of the images in the training set, int64 (B,); needed with an adapter.

    Raises:
        TrialError: The teacher's outputs, the adapter or the index are missing.
        ConfigError: The loss is no scalar, or does not depend on the student.
    """
    if teacher is None:
        if entry.needs_teacher:
            raise TrialError(f"{entry.name} needs a teacher")
        teacher = student
    if entry.adapter is not None:
        if adapter is None or index is None:
            raise TrialError(f"{entry.name} needs its adapter and the images' numbers")
        student, teacher = adapter(student, teacher, index)
    loss: object = entry.loss(student, teacher, targets, params)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ConfigError(f"{entry.name} returns {found}, not a scalar", hint="take the mean over the batch")
    if student.logits.requires_grad and not loss.requires_grad:
        hint = "compute it from the student's outputs, undetached"
        raise ConfigError(f"{entry.name} does not depend on the student", hint=hint)
    return loss
