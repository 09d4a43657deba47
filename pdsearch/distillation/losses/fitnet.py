"""FitNets' hint: a student's map, through a small regressor, matches the teacher's."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.distillation.features import same_size
from pdsearch.distillation.outputs import Outputs
from pdsearch.distillation.registry import FeatureShapes, distillation_loss
from pdsearch.distillation.softmax import at_least_single, cross_entropy, full_precision
from pdsearch.errors import ConfigError, TrialError
from pdsearch.registry import parameter

__all__ = ["FitnetParams", "Regressor", "fitnet_loss"]


@dataclass(frozen=True)
class FitnetParams:
    """Parameters of fitnet."""

    stage: int = parameter(2, help="the stage whose maps are compared, counted from 1", low=1, high=8)
    hint_weight: float = parameter(100.0, help="weight of the squared difference", low=0.0, high=1000.0)
    hard_weight: float = parameter(
        1.0, help="weight of the cross-entropy with the labels", low=0.0, high=10.0
    )


class Regressor(nn.Module):
    """A 1x1 convolution from the student's channels to the teacher's, in one stage.

    Args:
        name: Of the stage.
        inputs: The student's channels.
        outputs: The teacher's.
        generator: Draws the initial weights.
    """

    def __init__(self, name: str, inputs: int, outputs: int, generator: Generator) -> None:
        super().__init__()
        self.name = name
        bound = inputs**-0.5
        self.weight = nn.Parameter(
            torch.empty(outputs, inputs, 1, 1).uniform_(-bound, bound, generator=generator)
        )
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, student: Outputs, teacher: Outputs, _index: Tensor) -> tuple[Outputs, Outputs]:
        """Return the outputs, the student's map replaced."""
        if self.name not in student.features:
            raise TrialError(f"fitnet compares {self.name}, which the student does not show")
        given = at_least_single(student.features[self.name])
        with full_precision(given):
            maps = functional.conv2d(given, self.weight, self.bias)
        return replace(student, features={**student.features, self.name: maps}), teacher


def _adapter(
    student: FeatureShapes, teacher: FeatureShapes, images: int, generator: Generator, params: FitnetParams
) -> nn.Module:
    name = f"stage{params.stage}"
    if name not in student or name not in teacher:
        known = ", ".join(stage for stage in student if stage in teacher and stage.startswith("stage"))
        raise ConfigError(f"a network has no {name}", where="distill.fitnet", hint=f"both have: {known}")
    return Regressor(name, student[name][0], teacher[name][0], generator)


@distillation_loss("fitnet", params=FitnetParams, features=("stage*",), adapter=_adapter)
def fitnet_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: FitnetParams) -> Tensor:
    """Match one feature map: loss = hard * CE + hint * mean (r(s) - t)^2, r a 1x1 convolution trained along.

    The larger map is averaged down to the smaller. The paper trains on the hint first and distills then;
    here, as in later comparisons, both are one loss.

    When:
        Where both networks go through stages of the same sizes and the student is thin. Which stage, and how
        much it counts, depends on the pair: search `stage` and `hint_weight`.

    Cost:
        The teacher runs in every step, and a convolution is trained along.

    Source:
        Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: hints for thin deep nets", ICLR 2015,
        arXiv 1412.6550, equation 3; weights as in Tian, Krishnan, Isola, ICLR 2020, arXiv 1910.10699.
    """
    name = f"stage{params.stage}"
    ours, theirs = same_size(student.features[name], teacher.features[name].detach())
    hint = functional.mse_loss(ours, theirs)
    return params.hint_weight * hint + params.hard_weight * cross_entropy(student.logits, targets)
