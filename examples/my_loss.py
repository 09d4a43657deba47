"""A loss of one's own: `distill.loss: my_loss:loss` in a space file, started in this folder."""

from dataclasses import dataclass

from torch import Tensor

from pdsearch import Outputs, cross_entropy, log_softened, logit_pair, parameter


@dataclass(frozen=True)
class Params:
    """Parameters: `distill.temperature` and `distill.soft_weight` in a space file."""

    temperature: float = parameter(4.0, help="softens both distributions", low=0.5, high=50.0, log=True)
    soft_weight: float = parameter(1.0, help="weight of the difference", low=0.0, high=10.0)


def loss(student: Outputs, teacher: Outputs, targets: Tensor, params: Params) -> Tensor:
    """Match probabilities: soft_weight * mean over images of sum |p - q| + CE; a scalar."""
    ours, theirs = logit_pair(student, teacher)
    p, q = (log_softened(logits, params.temperature).exp() for logits in (ours, theirs))
    return params.soft_weight * (p - q).abs().sum(dim=1).mean() + cross_entropy(student.logits, targets)


loss.params = Params  # type: ignore[attr-defined]  # what the function declares stands in its attributes
