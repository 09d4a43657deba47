"""Contrastive representation distillation: a student tells images apart as the teacher does, with a memory."""

from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from pdsearch.distillation.compared_outputs import cross_entropy, full_precision, hard_weight, pooled_pair
from pdsearch.distillation.registry import FeatureShapes, Outputs, distillation_loss
from pdsearch.registry import parameter


@dataclass(frozen=True)
class CrdParams:
    """Parameters of crd; the defaults are those of the official code."""

    contrast_weight: float = parameter(0.8, help="weight of the contrastive term", low=0.0, high=10.0)
    hard_weight: float = hard_weight()
    width: int = parameter(128, help="width of the embeddings", low=8, high=1024)
    negatives: int = parameter(16384, help="other images each image is told from", low=16, high=65536)
    temperature: float = parameter(
        0.07, help="divides the embeddings' products", low=0.05, high=1.0, log=True
    )
    momentum: float = parameter(0.5, help="share of a remembered embedding that stays", low=0.0, high=0.99)


class Memory(nn.Module):
    """Memory bank: embeds both networks' pooled features and stores the embeddings of all training images.

    It replaces the features by `contrast`, (B, 1 + negatives): exp(product / temperature) / Z of an image's
    embedding with the stored ones of the other network, first that of the same image. Z is a constant that
    makes the mean of the first batch 1.

    Args:
        inputs: Widths of the student's and the teacher's pooled features.
        images: Number of training images.
        generator: Draws the initial values and, through a stored seed, all negatives.
        params: Parameters of the loss.
    """

    seed: Tensor
    step: Tensor

    def __init__(self, inputs: tuple[int, int], images: int, generator: Generator, params: CrdParams) -> None:
        super().__init__()
        self.params, self.images = params, images
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for number, width in enumerate(inputs):
            bound, spread = width**-0.5, (params.width / 3) ** -0.5
            drawn = torch.empty(params.width, width).uniform_(-bound, bound, generator=generator)
            bank = torch.empty(images, params.width).uniform_(-spread, spread, generator=generator)
            self.weights.append(nn.Parameter(drawn))
            self.biases.append(nn.Parameter(torch.zeros(params.width)))
            self.register_buffer(f"bank{number}", bank)
            self.register_buffer(f"scale{number}", torch.zeros(()))
        self.register_buffer("seed", torch.randint(2**40, (), generator=generator))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, student: Outputs, teacher: Outputs, index: Tensor) -> tuple[Outputs, Outputs]:
        """Return the outputs with `contrast` as their only feature, and store the embeddings of this batch."""
        pooled = pooled_pair(student, teacher)
        others = self._others().to(index.device)
        with full_precision(pooled[0]):
            seen = zip(pooled, self.weights, self.biases, strict=True)
            points = [functional.normalize(functional.linear(x, w, b), dim=1) for x, w, b in seen]
            ours, theirs = (self._contrast(points[n], 1 - n, index, others) for n in (0, 1))
        self._remember(points, index)
        return replace(student, features={"contrast": ours}), replace(teacher, features={"contrast": theirs})

    @torch.no_grad()
    def _remember(self, points: list[Tensor], index: Tensor) -> None:
        for number, fresh in enumerate(points):
            bank = self.get_buffer(f"bank{number}")
            mixed = bank[index] * self.params.momentum + fresh * (1 - self.params.momentum)
            bank[index] = functional.normalize(mixed, dim=1)

    def _others(self) -> Tensor:
        """Positions of the negatives: the same for the whole batch, new ones at each step."""
        random = Generator().manual_seed(int(self.seed + self.step))
        self.step += 1
        return torch.randint(self.images, (self.params.negatives,), generator=random)

    def _contrast(self, points: Tensor, other: int, index: Tensor, negatives: Tensor) -> Tensor:
        # Indexing copies, so that the bank may change in place before the backward pass.
        bank = self.get_buffer(f"bank{other}")
        same = (points * bank[index]).sum(dim=1, keepdim=True)  # (batch, 1)
        products = torch.cat([same, points @ bank[negatives].T], dim=1)  # (batch, 1 + negatives)
        raw = (products / self.params.temperature).exp()
        scale = self.get_buffer(f"scale{other}")
        scale.copy_(torch.where(scale > 0, scale, raw.detach().mean()))
        return raw / scale.clone()


def _adapter(
    student: FeatureShapes, teacher: FeatureShapes, images: int, generator: Generator, params: CrdParams
) -> nn.Module:
    return Memory((student["pooled"][0], teacher["pooled"][0]), images, generator, params)


@distillation_loss("crd", params=CrdParams, features=("pooled",), adapter=_adapter)
def crd_loss(student: Outputs, teacher: Outputs, targets: Tensor, params: CrdParams) -> Tensor:
    """Tell each image from many others, by noise-contrastive estimation, both ways between the networks.

    loss = hard * CE + contrast * (nce(student against what is remembered of the teacher) + nce(the reverse)).
    All images of a batch share one draw of negatives, uniform over the training images, so that memory and
    time grow with the batch plus the negatives and not with their product; the official code draws for each
    image, from other classes.

    When:
        Where training is long enough for its memory of all images to fill, and features are to be compared
        without matching them.

    Cost:
        The teacher runs in every step; two memories of training images * width numbers, 51 MB for CIFAR at
        width 128.

    Source:
        Tian, Krishnan, Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699, section
        3.1 and equations 17 to 19.
    """
    contrast = _nce(student.features["contrast"]) + _nce(teacher.features["contrast"])
    return params.contrast_weight * contrast + params.hard_weight * cross_entropy(student.logits, targets)


def _nce(contrast: Tensor) -> Tensor:
    """Mean of -log P(same) - sum log P(not the others); contrast is (batch, 1 + negatives), its mean 1 at first."""
    same, others = contrast[:, :1], contrast[:, 1:]
    noise = others.shape[1]  # times noise probability / contrast scale, which cancel
    return (torch.log1p(noise / same) + torch.log1p(others / noise).sum(dim=1, keepdim=True)).mean()
