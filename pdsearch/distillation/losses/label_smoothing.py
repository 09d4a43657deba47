"""Label smoothing: the baseline whose teacher is the uniform distribution."""

from dataclasses import dataclass

from torch import Tensor

from pdsearch.distillation.compared_outputs import cross_entropy
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class LabelSmoothingParams:
    """Parameters of label_smoothing."""

    smoothing: float = parameter(0.1, help="share of the target spread over all classes", low=0.0, high=0.9)


@distillation_loss("label_smoothing", params=LabelSmoothingParams, needs_teacher=False)
def label_smoothing_loss(
    student: Outputs, teacher: Outputs, targets: Tensor, params: LabelSmoothingParams
) -> Tensor:
    """Cross-entropy with (1 - smoothing) * target + smoothing / classes; the student alone.

    When:
        As a control: is it the teacher that helps, or would any softness do?

    Cost:
        No teacher runs.

    Source:
        Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture for computer vision",
        CVPR 2016, arXiv 1512.00567, section 7; as the teacher that knows nothing: Yuan, Tay, Li, Wang, Feng,
        "Revisiting knowledge distillation via label smoothing regularization", CVPR 2020, arXiv 1909.11723.
    """
    return cross_entropy(student.logits, targets, smoothing=params.smoothing)
