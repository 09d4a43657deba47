"""DeiT's hard-label distillation: the teacher's most probable class is a second label."""

from dataclasses import dataclass

from torch import Tensor

from pdsearch.distillation.compared_outputs import cross_entropy, hard_weight, logit_pair
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class HardLabelParams:
    """Parameters of hard_label; the defaults are the paper's."""

    teacher_weight: float = parameter(
        0.5, help="weight of the cross-entropy with the teacher's class", low=0.0, high=10.0
    )
    hard_weight: float = hard_weight(0.5)
    smoothing: float = parameter(
        0.0, help="share of the teacher's class spread over all classes", low=0.0, high=0.9
    )


@distillation_loss("hard_label", params=HardLabelParams)
def hard_label_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: HardLabelParams) -> Tensor:
    """Take the teacher's most probable class as a label beside the true one: loss = teacher * CE(y_t) + hard * CE(y).

    y_t = argmax of the teacher's logits for the same view, so that it may change with the crop of an image. The true
    labels are smoothed, or mixed, as the recipe and the augmentation say; `smoothing` does the same to y_t.

    When:
        With strong augmentation, where the teacher's class of a view says more than the image's label, and for
        transformers; it has no temperature to search.

    Cost:
        As kd.

    Source:
        Touvron, Cord, Douze, Massa, Sablayrolles, Jegou, "Training data-efficient image transformers and
        distillation through attention", ICML 2021, arXiv 2012.12877, equation 3; there the two terms may come from
        two tokens.
    """
    ours, theirs = logit_pair(student, teacher)
    taught = cross_entropy(ours, theirs.argmax(dim=1), smoothing=params.smoothing)
    return params.teacher_weight * taught + params.hard_weight * cross_entropy(student.logits, targets)
