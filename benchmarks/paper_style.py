"""The usual training loop: a DataLoader over PIL images, the teacher run at every step, float32.

The loop follows the published code of Park and No (arXiv 2109.14960) and of most repositories on distillation.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as PIL sees them, transformed one by one.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        padding: Pixels of a random crop; 0 for none.
        flip: Mirror half of the images.
        mean: Of the channels, in the units of the images; None takes the middle of what a byte holds.
        std: Likewise, None a quarter of it.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        padding: int = 0,
        flip: bool = False,
        mean: Tensor | None = None,
        std: Tensor | None = None,
    ) -> None:
        channels, size = images.shape[1], images.shape[-1]
        arrays = images.permute(0, 2, 3, 1).numpy()
        self._pictures = [Image.fromarray(a if channels == 3 else a[..., 0]) for a in arrays]
        self._labels = labels.tolist()
        drawn = [transforms.RandomCrop(size, padding=padding)] if padding else []
        mirrored = [transforms.RandomHorizontalFlip()] if flip else []
        middle = [0.5] * channels if mean is None else (mean / 255).tolist()
        spread = [0.25] * channels if std is None else (std / 255).tolist()
        plain = [transforms.ToTensor(), transforms.Normalize(middle, spread)]
        self._transform = transforms.Compose([*drawn, *mirrored, *plain])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image, transformed, and its label."""
        return self._transform(self._pictures[index]), self._labels[index]


class PaperStyle:
    """Training, with a teacher or without one, as one usually writes it.

    Args:
        student: Trained in place.
        teacher: Run at every step; None trains on the labels alone.
        train: Training images.
        val: Measured after every epoch.
        batch_size: Images per step.
        lr: Learning rate.
        milestones: Epochs after which it is a fifth of what it was.
        temperature: Of the soft labels.
        alpha: Their weight.
        device: Where the networks are.
        workers: Processes of the DataLoader.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module | None,
        train: Pictures,
        val: Pictures,
        *,
        batch_size: int,
        lr: float,
        milestones: Sequence[int] = (),
        temperature: float = 4.0,
        alpha: float = 0.9,
        device: str = "cpu",
        workers: int = 0,
    ) -> None:
        self._student, self._device = student.to(device), device
        self._teacher = None if teacher is None else teacher.to(device).eval()
        self._temperature, self._alpha = temperature, alpha
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "num_workers": workers,
            "persistent_workers": workers > 0,
        }
        self._train, self._val = DataLoader(train, shuffle=True, **options), DataLoader(val, **options)
        self._optimizer = torch.optim.SGD(
            student.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4
        )
        self._schedule = torch.optim.lr_scheduler.MultiStepLR(self._optimizer, milestones, gamma=0.2)

    def epoch(self) -> float:
        """Train and measure one epoch; return the accuracy."""
        self._student.train()
        for images, labels in self._train:
            self._step(images.to(self._device), labels.to(self._device))
        self._schedule.step()
        self._student.eval()
        right = 0
        with torch.no_grad():
            for images, labels in self._val:
                answers = self._student(images.to(self._device)).argmax(1)
                right += (answers == labels.to(self._device)).sum().item()
        return right / len(self._val.dataset)  # type: ignore[arg-type]

    def _step(self, images: Tensor, labels: Tensor) -> None:
        logits = self._student(images)
        loss = functional.cross_entropy(logits, labels)
        if self._teacher is not None:
            loss = self._alpha * self._soft(images, logits) + (1 - self._alpha) * loss
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        loss.item()

    def _soft(self, images: Tensor, logits: Tensor) -> Tensor:
        assert self._teacher is not None
        with torch.no_grad():
            soft = functional.softmax(self._teacher(images) / self._temperature, dim=1)
        ours = functional.log_softmax(logits / self._temperature, dim=1)
        return self._temperature**2 * functional.kl_div(ours, soft, reduction="batchmean")
