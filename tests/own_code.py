"""Modules of a user's own, written where pdsearch is started, each under a name of its own."""

import itertools
from pathlib import Path

_NUMBERS = itertools.count()

NETS = """
from dataclasses import dataclass
import torch
from torch import nn
from torch.nn import functional as F
from pdsearch.registry import parameter


def flat(*, num_classes, channels, image_size, width=4):
    size = channels * image_size ** 2
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, num_classes))


def line(*, num_classes, input_shape, width=4):
    size = torch.Size(input_shape).numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, num_classes))


class Shaped(nn.Module):
    def __init__(self, *, num_classes, channels, image_size, widths=(4, 6), **more):
        super().__init__()
        self.first, self.second = nn.Conv2d(channels, widths[0], 3), nn.Conv2d(widths[0], widths[1], 3)
        self.norm, self.last = nn.BatchNorm2d(widths[1]), nn.Linear(widths[1], num_classes)

    def forward(self, images):
        maps = self.norm(self.second(torch.relu(self.first(images))))
        return self.last(torch.relu(maps).mean((2, 3)))


class Plain(nn.Sequential):
    def __init__(self, *, num_classes, channels, image_size):
        maps = nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU()
        super().__init__(*maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, num_classes))


class Paired(nn.Module):
    def __init__(self, *, num_classes, channels, image_size):
        super().__init__()
        self.maps, self.last = nn.Conv2d(channels, 8, 3), nn.Linear(8, num_classes)

    def forward(self, images):
        return self.last(self.maps(images).sort(dim=1).values.mean((2, 3)))


def blind(*, channels):
    return nn.Identity()


def small(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))


def wrong(*, num_classes, channels, image_size):
    return 7


@dataclass(frozen=True)
class Weights:
    weight: float = parameter(1.0, help="of the difference", low=0.0, high=10.0)


def squared(student, teacher, targets, params):
    return F.cross_entropy(student.logits, targets) + params.weight * F.mse_loss(student.logits, teacher.logits)


squared.params = Weights


def alone(student, teacher, targets, params):
    return F.cross_entropy(student.logits, targets)


alone.needs_teacher = False


@dataclass(frozen=True)
class Powers:
    power: float = parameter(1.0, help="of the weight", low=0.0, high=4.0)


def sized(model, batches, generator, params):
    return {
        f"{name}.weight": module.weight.detach().abs() ** params.power
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }


sized.params = Powers


def early(model, batches, generator, params):
    return {name: torch.rand(shape) for name, shape in batches[0]}


early.needs_data, early.at, early.schedules = True, "init", ["one_shot"]


def misplaced(model, batches, generator, params):
    return {}


misplaced.at = "middle"


def short(student, teacher):
    return 0


def undeclared(student, teacher, targets, params):
    return 0


undeclared.params = {"weight": 1.0}
number = 7
"""


class Author:
    """Writes modules into the folder where things are started.

    Args:
        folder: That folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str = NETS) -> str:
        """Write a module nobody has imported yet; return its name."""
        name = f"own_code_{next(_NUMBERS)}"
        (self.folder / f"{name}.py").write_text(text)
        return name
