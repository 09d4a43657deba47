"""Cross-entropy with the labels, without a teacher: the baseline of every comparison."""

from torch import Tensor

from pdsearch.distillation.compared_outputs import cross_entropy
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import NoParams


@distillation_loss("ce", needs_teacher=False)
def ce_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: NoParams) -> Tensor:
    """Cross-entropy with the labels; the student alone.

    When:
        As the baseline: what a student learns alone. Every ranking has it beside the teachers.

    Cost:
        No teacher runs.

    Source:
        The hard term of Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015,
        arXiv 1503.02531, section 2.
    """
    return cross_entropy(student.logits, targets)
