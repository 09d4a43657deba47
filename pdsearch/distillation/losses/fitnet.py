"""FitNets' hint: a student's map, through a small regressor, matches the teacher's."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.distillation.compared_outputs import (
    at_least_single,
    cross_entropy,
    divergence,
    full_precision,
    hard_weight,
    log_softened,
    logit_pair,
    same_size,
)
from pdsearch.distillation.registry import FeatureShapes, Outputs, distillation_loss
from pdsearch.errors import ConfigError, TrialError
from pdsearch.registry import parameter


@dataclass(frozen=True)
class FitnetParams:
    """Parameters of fitnet."""

    stage: int = parameter(2, help="the stage whose maps are compared, counted from 1", low=1, high=8)
    hint_weight: float = parameter(100.0, help="weight of the squared difference", low=0.0, high=1000.0)
    hard_weight: float = hard_weight()
    regressor: str = parameter(
        "pointwise",
        help="pointwise, or the authors': an unpadded convolution to the size of the teacher's map, then ReLU",
        choices=("pointwise", "authors"),
        later=True,
    )
    hint_epochs: int = parameter(
        0,
        help="first epochs, in which only the hint is trained; 0 trains all at once",
        low=0,
        high=10_000,
        later=True,
    )
    soft_weight: float = parameter(
        0.0, help="weight of kd's soft term (the paper's lambda)", low=0.0, high=100.0, later=True
    )
    temperature: float = parameter(
        3.0, help="softens both distributions of the soft term", low=0.5, high=50.0, log=True, later=True
    )
    decay_epochs: int = parameter(
        0,
        help="epochs after the hint's in which soft_weight falls linearly to a quarter; 0 keeps it",
        low=0,
        high=10_000,
        later=True,
    )


def at_epoch(params: FitnetParams, epoch: int) -> FitnetParams:
    """Return the parameters in force in an epoch, counted from 1: those of the hint's stage, or of the stage after."""
    if params.hint_epochs == 0:
        return replace(params, soft_weight=_decayed(params, epoch))
    if epoch <= params.hint_epochs:
        return replace(params, hard_weight=0.0, soft_weight=0.0)
    return replace(params, hint_weight=0.0, soft_weight=_decayed(params, epoch - params.hint_epochs))


def _decayed(params: FitnetParams, epoch: int) -> float:
    gone = min((epoch - 1) / params.decay_epochs, 1.0) if params.decay_epochs else 0.0
    return params.soft_weight * (1 - 0.75 * gone)


class Regressor(nn.Module):
    """A convolution from the student's channels to the teacher's, in one stage.

    Args:
        name: Of the stage.
        student: Shape of the student's map, (C, H, W).
        teacher: Shape of the teacher's.
        generator: Draws the initial weights.
        authors: With a kernel that leaves the size of the teacher's map, and ReLU after it; else 1x1.

    Raises:
        ConfigError: The student's map is smaller than the teacher's, and the authors' regressor is asked for.
    """

    def __init__(
        self,
        name: str,
        student: tuple[int, ...],
        teacher: tuple[int, ...],
        generator: Generator,
        *,
        authors: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.authors = name, authors
        rows, columns = (s - t + 1 if authors else 1 for s, t in zip(student[1:], teacher[1:], strict=True))
        if rows < 1 or columns < 1:
            what = f"the student's {name} is smaller than the teacher's ({student[1:]}, {teacher[1:]})"
            hint = "take regressor: pointwise, or another stage"
            raise ConfigError(what, where="distill.regressor", hint=hint)
        bound = (student[0] * rows * columns) ** -0.5
        self.weight = nn.Parameter(
            torch.empty(teacher[0], student[0], rows, columns).uniform_(-bound, bound, generator=generator)
        )
        self.bias = nn.Parameter(torch.zeros(teacher[0]))

    def forward(self, student: Outputs, teacher: Outputs, _index: Tensor) -> tuple[Outputs, Outputs]:
        """Return the outputs, the student's map replaced."""
        if self.name not in student.features:
            raise TrialError(f"fitnet compares {self.name}, which the student does not show")
        given = at_least_single(student.features[self.name])
        with full_precision(given):
            maps = functional.conv2d(given, self.weight, self.bias)
        maps = maps.relu() if self.authors else maps
        return replace(student, features={**student.features, self.name: maps}), teacher


def _adapter(
    student: FeatureShapes, teacher: FeatureShapes, images: int, generator: Generator, params: FitnetParams
) -> nn.Module:
    name = f"stage{params.stage}"
    if name not in student or name not in teacher:
        known = ", ".join(stage for stage in student if stage in teacher and stage.startswith("stage"))
        raise ConfigError(f"a network has no {name}", where="distill.fitnet", hint=f"both have: {known}")
    return Regressor(name, student[name], teacher[name], generator, authors=params.regressor == "authors")


@distillation_loss("fitnet", params=FitnetParams, features=("stage*",), adapter=_adapter, at_epoch=at_epoch)
def fitnet_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: FitnetParams) -> Tensor:
    """Match one feature map: loss = hint * mean (r(s) - t)^2 + hard * CE + soft * T^2 * KL, r trained along.

    By default r is a 1x1 convolution, all is one loss without the soft term, and the larger map is averaged down to
    the smaller, as in later comparisons. As in the paper: `regressor: authors` is an unpadded convolution whose
    kernel leaves the size of the teacher's map, followed by the non-linearity of the maps, here ReLU; in the first
    `hint_epochs` only the hint is trained, hence only the student's layers up to it, and after them only the labels
    and the soft term, whose weight falls to a quarter in `decay_epochs` (there from 4 to 1, at temperature 3). The
    paper's hint is half the sum of squares of an image: `hint_weight` is half the number of values of the teacher's
    map then. Both stages share the recipe's one schedule.

    When:
        Where both networks go through stages of the same sizes and the student is thin. Which stage, and how
        much it counts, depends on the pair: search `stage` and `hint_weight`.

    Cost:
        The teacher runs in every step, and a convolution is trained along.

    Source:
        Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: hints for thin deep nets", ICLR 2015,
        arXiv 1412.6550, equations 2 to 4; weights as in Tian, Krishnan, Isola, ICLR 2020, arXiv 1910.10699.
    """
    # Left out, and not weighted by 0: layers that a stage does not train get no gradient, hence no weight decay.
    terms = []
    if params.hint_weight:
        name = f"stage{params.stage}"
        ours, theirs = same_size(student.features[name], teacher.features[name].detach())
        terms.append(params.hint_weight * functional.mse_loss(ours, theirs))
    if params.hard_weight:
        terms.append(params.hard_weight * cross_entropy(student.logits, targets))
    if params.soft_weight:
        pair = (log_softened(logits, params.temperature) for logits in logit_pair(student, teacher))
        terms.append(params.soft_weight * params.temperature**2 * divergence(*pair))
    return torch.stack(terms).sum() if terms else 0.0 * cross_entropy(student.logits, targets)
