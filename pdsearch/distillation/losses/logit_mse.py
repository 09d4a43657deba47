"""Mean squared difference of the logits."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from pdsearch.distillation.compared_outputs import cross_entropy, hard_weight, logit_pair, standardised_first
from pdsearch.distillation.registry import Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class LogitMseParams:
    """Parameters of logit_mse."""

    soft_weight: float = parameter(1.0, help="weight of the squared difference", low=0.0, high=10.0)
    hard_weight: float = hard_weight(0.1)
    standardise: bool = standardised_first()


@distillation_loss("logit_mse", params=LogitMseParams)
def logit_mse_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: LogitMseParams) -> Tensor:
    """Match the logits: loss = soft * mean (s - t)^2 + hard * CE, the mean over images and classes.

    It has no temperature: kd's soft term approaches it, centred, as the temperature grows.

    When:
        As a control without a temperature, or where the logits themselves are wanted. `standardise` frees it
        from the teacher's scale.

    Cost:
        As kd.

    Source:
        Ba, Caruana, "Do deep nets really need to be deep?", NeurIPS 2014, arXiv 1312.6184, equation 1; with a
        hard term as in Kim, Oh, Kim, Cho, Yun, "Comparing Kullback-Leibler divergence and mean squared error
        loss in knowledge distillation", IJCAI 2021, arXiv 2105.08919.
    """
    ours, theirs = logit_pair(student, teacher, standardise=params.standardise)
    soft = functional.mse_loss(ours, theirs)
    return params.soft_weight * soft + params.hard_weight * cross_entropy(student.logits, targets)
