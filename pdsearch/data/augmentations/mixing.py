"""Augmentations that mix two images into one view: blending, or pasting a box of one into the other."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pdsearch.data.registry import augmentations
from pdsearch.registry import parameter

UNIT = 2**24
"""Shares are drawn in steps of 1/UNIT, which float32 represents exactly: the same product on every device."""


@dataclass(frozen=True)
class Mixup:
    """Blend each image with a partner, and their labels likewise; the share is drawn from Beta(alpha, alpha).

    Partners are a permutation of all images, drawn each epoch; the share is drawn per image.

    Source:
        Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018, arXiv
        1710.09412, equation 1 of section 2; there one share is drawn per batch.
    """

    applies_to: ClassVar[str] = "any"
    alpha: float = parameter(
        1.0, help="1 draws every share alike, less keeps images apart", low=0.01, high=32.0
    )

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:  # noqa: ARG002 - protocol
        """Return one row per image: partner, share in steps of 1/UNIT; int64 (N, 2)."""
        return torch.stack([*_partners_and_shares(images, self.alpha, generator)], dim=1)

    def apply(self, images: Tensor, partners: Tensor, draws: Tensor) -> Tensor:
        """Return share * image + (1 - share) * partner."""
        share = self.share(draws, images.shape[-1]).view(-1, *[1] * (images.dim() - 1))
        return images * share + partners * (1 - share)

    def share(self, draws: Tensor, size: int) -> Tensor:  # noqa: ARG002 - protocol
        """Return the image's share, float32 (B,)."""
        return draws[:, 1].float() / UNIT


@dataclass(frozen=True)
class Cutmix:
    """Paste a random box of a partner into each image; the labels' shares are those of the pixels.

    The box's area is drawn from Beta(alpha, alpha), its centre uniformly; what lies outside is cut off.

    Source:
        Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: regularization strategy to train strong classifiers with
        localizable features", ICCV 2019, arXiv 1905.04899, equations 1 and 2; there one box is drawn per batch.
    """

    applies_to: ClassVar[str] = "square maps"
    alpha: float = parameter(
        1.0, help="1 draws every area alike, less draws small and large ones", low=0.01, high=32.0
    )

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:
        """Return one row per image: partner, first row, last row, first column, last column; int64 (N, 5)."""
        partner, kept = _partners_and_shares(images, self.alpha, generator)
        centre = torch.randint(0, size, (images, 2), generator=generator)
        side = ((1 - kept.double() / UNIT).sqrt() * size).long()[:, None]
        first, last = (centre - side // 2).clamp(min=0), (centre + side // 2).clamp(max=size)
        return torch.cat([partner[:, None], first[:, :1], last[:, :1], first[:, 1:], last[:, 1:]], dim=1)

    def apply(self, images: Tensor, partners: Tensor, draws: Tensor) -> Tensor:
        """Return the images with their boxes, ends excluded, filled by the partners."""
        top, bottom, left, right = (draws[:, column, None] for column in range(1, 5))
        along = torch.arange(images.shape[-1], device=images.device)
        rows, columns = (along >= top) & (along < bottom), (along >= left) & (along < right)
        return torch.where(rows[:, None, :, None] & columns[:, None, None, :], partners, images)

    def share(self, draws: Tensor, size: int) -> Tensor:
        """Return the share of pixels outside the box, float32 (B,)."""
        return 1 - ((draws[:, 2] - draws[:, 1]) * (draws[:, 4] - draws[:, 3])).float() / size**2


@dataclass(frozen=True)
class MixupOrCutmix:
    """Either mixup or cutmix, each image by the toss of a coin.

    Source:
        Touvron and others, "Training data-efficient image transformers", ICML 2021, arXiv 2012.12877, table 9;
        there one of the two is chosen per batch.
    """

    applies_to: ClassVar[str] = "square maps"
    alpha: float = parameter(1.0, help="of both; see mixup and cutmix", low=0.01, high=32.0)

    def draw(self, images: int, size: int, generator: Generator) -> Tensor:
        """Return one row per image: partner, 1 for cutmix, mixup's share, cutmix's box; int64 (N, 7)."""
        coin = torch.randint(0, 2, (images, 1), generator=generator)
        mixup = Mixup(self.alpha).draw(images, size, generator)
        cutmix = Cutmix(self.alpha).draw(images, size, generator)
        return torch.cat([mixup[:, :1], coin, mixup[:, 1:], cutmix[:, 1:]], dim=1)

    def apply(self, images: Tensor, partners: Tensor, draws: Tensor) -> Tensor:
        """Return the mixed views."""
        mixup, cutmix = _apart(draws)
        blended = Mixup().apply(images, partners, mixup)
        pasted = Cutmix().apply(images, partners, cutmix)
        return torch.where(draws[:, 1, None, None, None] == 1, pasted, blended)

    def share(self, draws: Tensor, size: int) -> Tensor:
        """Return the image's share, float32 (B,)."""
        mixup, cutmix = _apart(draws)
        return torch.where(draws[:, 1] == 1, Cutmix().share(cutmix, size), Mixup().share(mixup, size))


def _apart(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return the draws of mixup and of cutmix; by slices, as an index list would be copied to a GPU at every step."""
    partner = draws[:, :1]
    return torch.cat([partner, draws[:, 2:3]], dim=1), torch.cat([partner, draws[:, 3:]], dim=1)


def _partners_and_shares(images: int, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    partner = torch.randperm(images, generator=generator)
    uniform = torch.rand(images, generator=generator, dtype=torch.float64)
    return partner, (torch.from_numpy(_beta(uniform.numpy(), alpha)) * UNIT).round().long()


def _beta(uniform: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    # By the inverse distribution function: torch's Beta draws from the global generator.
    if alpha == 1:
        return uniform
    # Only now: importing it takes most of a second, and every driver and worker lists augmentations.
    from scipy.special import betaincinv

    return np.asarray(betaincinv(alpha, alpha, uniform), dtype=np.float64)


augmentations.add("mixup")(Mixup())
augmentations.add("cutmix")(Cutmix())
augmentations.add("mixup_or_cutmix")(MixupOrCutmix())
