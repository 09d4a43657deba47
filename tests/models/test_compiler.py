"""Nothing that a study does loads torch's compiler."""

import subprocess
import sys

import torch

from pdsearch.models.compiler import leave_alone

WORK = """
import sys
import torch
from torch import nn
from pdsearch.models import build, count_flops, count_params
from pdsearch.pruning.channels import finding
from pdsearch.specs import Recipe
from pdsearch.training.optim import make_optimizer

size = {"num_classes": 2, "input_shape": (1, 8, 8)}
with torch.device("meta"):
    count_params(build("resnet8", seed=0, **size))
for name in ("sgd", "adam", "adamw"):
    model = build("convnet_s", seed=0, **size)
    count_flops(model, (1, 8, 8))
    optimizer = make_optimizer(model, Recipe(epochs=1, lr=0.1, optimizer=name))
    model(torch.zeros(2, 1, 8, 8)).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
finding.bounded = lambda make, network: make()  # In this process, which is looked at, and not in a fork.
finding.find_channels(build("resnet8", seed=0, **size), torch.zeros(1, 1, 8, 8))

class Windows(nn.Module):  # Runs with fewer of some channels, and not of others.
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 1), nn.LayerNorm(8)
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, images):
        maps = self.norm(self.stem(images).permute(0, 2, 3, 1)).reshape(-1, 8, 8, 8)
        return self.head(self.mix(maps).mean((1, 2)))

found = finding.find_channels(Windows(), torch.zeros(1, 1, 8, 8))
assert [tie.name for tie in found.ties] == ["mix.weight"] and "does not run" in found.whole["stem.weight"]
print(*sorted({"sympy", "torch._dynamo"} & set(sys.modules)))
"""


def test_counting_training_saving_and_following_channels_load_no_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_what_torch_did_not_mark_stays_as_it_is() -> None:
    leave_alone(torch.add, len)
    assert not hasattr(len, "__dynamo_disable")


def test_a_mark_of_torch_s_own_stays() -> None:
    def inner() -> None: ...

    def outer() -> None: ...

    vars(outer)["__wrapped__"] = inner
    vars(inner)["__dynamo_disable"] = "torch's"
    leave_alone(outer)
    assert vars(inner)["__dynamo_disable"] == "torch's"
