"""Networks of the kinds that people report trouble with go through a trial in small, or are refused with a reason."""

from dataclasses import replace

import pytest

from pdsearch.errors import ConfigError
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.rehearsal import rehearsing
from pdsearch.specs import StudentSpec
from tests.own_code import Author
from tests.pipeline.digits import SPEC, data

NETWORKS = """
import random
import threading
from collections import OrderedDict

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune


class Base(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes))

    def body(self, images):
        return self.b(self.a(images).relu()).relu()

    def forward(self, images):
        return self.head(self.body(images))


def base(of):
    def builder(*, num_classes, channels, image_size):
        network = Base(channels, num_classes)
        made = of(network)
        return network if made is None else made

    return builder


def derived(of):
    return lambda *, num_classes, channels, image_size: of(channels, num_classes)


weight_norm = base(lambda network: nn.utils.weight_norm(network.b) and None)
spectral_norm = base(lambda network: parametrizations.spectral_norm(network.b) and None)
orthogonal = base(lambda network: parametrizations.orthogonal(network.head[2]) and None)
pruned_twice = base(lambda network: [prune.l1_unstructured(network.b, "weight", 0.3) for _ in range(2)] and None)
compiled = base(lambda network: torch.compile(network, backend="eager"))
scripted = base(torch.jit.script)
tied = base(lambda network: setattr(network.b, "weight", network.b.weight))
one_memory = base(lambda network: setattr(network, "c", nn.Parameter(network.b.weight.data)))
expanded = base(lambda network: setattr(network.b, "bias", nn.Parameter(torch.zeros(1).expand(6))))
empty = base(lambda network: setattr(network, "never", nn.Parameter(torch.zeros(0, 3))))
unused_lazy = base(lambda network: setattr(network, "never", nn.LazyLinear(3)))
buffers = base(lambda network: [network.register_buffer(f"b{n}", torch.ones(2, dtype=kind)) for n, kind in enumerate(
    (torch.int8, torch.bool, torch.float64, torch.bfloat16))] and None)
transposed = base(lambda network: setattr(network.head[2], "weight", nn.Parameter(torch.randn(6, 10).t())))
locked = base(lambda network: setattr(network, "lock", threading.Lock()))
closure = base(lambda network: network.b.register_forward_hook(lambda *_: network.a.bias.sum() + _[2]) and None)
hooked_weight = base(lambda network: network.a.weight.register_hook(torch.neg) and None)
frozen_body = base(lambda network: network.a.requires_grad_(False) and None)


@derived
class Sized(Base):
    # As quantised layers keep a type and a pair beside their tensors.
    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "sizes"] = (6, 6)


@derived
class Observed(Base):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("lowest", torch.zeros(0))

    def body(self, images):
        self.lowest = images.amin()[None]
        return super().body(images)


@derived
class Drawn(Base):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("scale", torch.rand(6, 1, 1), persistent=False)

    def body(self, images):
        return super().body(images) * self.scale


@derived
class Embedded(Base):
    # The first name of the last layer's weight is that of an embedding, which is not pruned.
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.a.table = nn.Embedding(sizes[1], 6)
        self.head[2].weight = self.a.table.weight


@derived
class Choosy(Base):
    def parameters(self, recurse=True):
        return self.head.parameters(recurse)


@derived
class InPlace(Base):
    def body(self, images):
        return super().body(images.mul_(2))


@derived
class Thin(nn.Sequential):
    def __init__(self, channels, classes):
        table = nn.Embedding(8, 6, sparse=True)
        super().__init__(Index(), table, nn.Linear(6, classes))


class Index(nn.Module):
    def forward(self, images):
        return (images.flatten(1).mean(1) > 0).long()


ONE = Base(1, 10)
ONE.lock = threading.Lock()  # So that it is not copied for each trial.


def one(*, num_classes, channels, image_size):
    return ONE


def double_by_default(*, num_classes, channels, image_size):
    torch.set_default_dtype(torch.float64)
    return Base(channels, num_classes).float()


@derived
class Extra(Base):
    def get_extra_state(self):
        return {"steps": 1}

    def set_extra_state(self, state):
        self.steps = state["steps"]


@derived
class Thing(Base):
    def get_extra_state(self):
        return threading.local


@derived
class Renamed(Base):
    def state_dict(self, *args, **options):
        return OrderedDict((f"my.{key}", tensor) for key, tensor in super().state_dict(*args, **options).items())

    def load_state_dict(self, state, *args, **options):
        return super().load_state_dict({key[3:]: tensor for key, tensor in state.items()}, *args, **options)


@derived
class Late(Base):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.last = None

    def forward(self, images):
        answers = super().forward(images)
        self.last = self.last or nn.Linear(answers.shape[1], answers.shape[1])
        return self.last(answers)


@derived
class Spectrum(Base):
    # Its raw weight of four axes is viewed as complex numbers.
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.filter = nn.Parameter(torch.randn(6, 8, 5, 2))

    def body(self, images):
        maps = torch.fft.rfft2(super().body(images)) * torch.view_as_complex(self.filter)
        return torch.fft.irfft2(maps, s=images.shape[-2:])


@derived
class Volumes(nn.Sequential):
    def __init__(self, channels, classes):
        conv = nn.Conv3d(channels, 6, (1, 3, 3))
        super().__init__(nn.Unflatten(1, (channels, 1)), conv, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
                         nn.Linear(6, classes))


@derived
class Silent(Base):
    def train(self, mode=True):
        super().train(mode)


@derived
class Hooked(nn.Sequential):
    def __init__(self, channels, classes):
        conv = nn.Conv2d(channels, 6, 3)
        conv.register_forward_hook(double)
        maps = nn.Sequential(conv, nn.BatchNorm2d(6))
        super().__init__(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes))


def double(module, images, maps):
    return 2 * maps + 1


@derived
class Soft(Base):
    def forward(self, images):
        return super().forward(images).softmax(1)


@derived
class Sparse(Base):
    def forward(self, images):
        return super().forward(images) if self.training else super().forward(images).to_sparse()


@derived
class Noise(Base):
    def body(self, images):
        return super().body(images + torch.randn_like(images) + random.random() + float(np.random.rand()))


@derived
class Centred(Base):
    def body(self, images):
        maps = super().body(images)
        return maps - maps.mean(0)


@derived
class Rows(nn.Module):
    # Reads a batch as the steps of a sequence: an image answers for those before it.
    def __init__(self, channels, classes):
        super().__init__()
        self.rows, self.last = nn.LSTM(8 * channels, 6), nn.Linear(6, classes)

    def forward(self, images):
        return self.last(self.rows(images.transpose(1, 2).flatten(2))[0][:, -1])


@derived
class Always(nn.Sequential):
    # Its batch normalisation never uses running statistics.
    def __init__(self, channels, classes):
        super().__init__(nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(6, classes))

    def train(self, mode=True):
        return super().train(True)


@derived
class Balanced(Base):
    # Centres its weights as it is trained.
    def body(self, images):
        if self.training:
            self.b.weight.data -= self.b.weight.data.mean()
        return super().body(images)


@derived
class Counting(Base):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.steps = 0

    def forward(self, images):
        self.steps += self.training
        return super().forward(images) + self.steps
"""

THROUGH = (
    "weight_norm",
    "spectral_norm",
    "orthogonal",
    "pruned_twice",
    "compiled",
    "tied",
    "empty",
    "buffers",
    "transposed",
    "locked",
    "frozen_body",
    "double_by_default",
    "Extra",
    "Renamed",
    "Spectrum",
    "Volumes",
    "Silent",
    "Hooked",
    "Noise",
    "Drawn",
    "Embedded",
)

REFUSED = {
    "scripted": "it is a TorchScript program, which is neither pruned nor copied whole",
    "one_memory": "is in the memory of another",
    "expanded": r"b\.bias is expanded: several values are one place in memory",
    "one": "returns one network each time it is called",
    "unused_lazy": "its lazy layer never is not used by the forward pass",
    "closure": "a copy of .*, which would be pruned, computes with the weights of the original",
    "hooked_weight": r"a\.weight is changed by a hook on its gradient",
    "Sized": "sizes of the state dict is a tuple and no tensor",
    "Observed": "is another network each time it is built: lowest differ",
    "Choosy": r"has a parameters\(\) of its own, which leaves some out",
    "InPlace": "changes the images that it is given, in place",
    "Thin": r"the gradient of 1\.weight is sparse",
    "Thing": "_extra_state, of class type, cannot be stored so that it is read without running code",
    "Late": r"makes weights in its forward pass: last\.bias, last\.weight",
    "Soft": "answers 2 images with probabilities, not with logits",
    "Sparse": r"answers 2 images with torch\.sparse_coo, not with floating-point logits",
    **dict.fromkeys(("Centred", "Rows", "Always"), "answers an image otherwise beside another image"),
    "Balanced": r"what was removed of b\.weight came back",
    "Counting": "answers otherwise when its weights are loaded again",
}


def rehearse(network: str, role: str, here: WorkerContext) -> None:
    """Try a trial in which a network is the teacher, pruned, or the student."""
    teacher, student = (network, "convnet_s") if role == "teacher" else ("convnet_s", network)
    dense = replace(
        SPEC, teacher=replace(SPEC.teacher, model=teacher), student=StudentSpec(student), prune=None
    )
    with rehearsing(data(SPEC, here)) as rehearsal:
        rehearsal.trial(dense)
        if role == "teacher":
            rehearsal.trial(replace(dense, prune=SPEC.prune))


@pytest.mark.parametrize("role", ["teacher", "student"])
@pytest.mark.parametrize("name", THROUGH)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_they_go_through_a_trial(name: str, role: str, author: Author, here: WorkerContext) -> None:
    rehearse(f"{author.write(NETWORKS)}:{name}", role, here)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_they_are_refused_with_the_reason(name: str, author: Author, here: WorkerContext) -> None:
    module = author.write(NETWORKS)
    with pytest.raises(ConfigError, match=REFUSED[name]) as caught:
        rehearse(f"{module}:{name}", "teacher", here)
    assert caught.value.hint
    assert caught.value.where == "teacher.model"
