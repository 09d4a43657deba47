"""How is a student usually distilled? A DataLoader over PIL images, the teacher run at every step, float32.

The loop follows the published code of Park and No (arXiv 2109.14960) and of most repositories on distillation.
"""

from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

__all__ = ["PaperStyle", "Pictures"]


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as PIL sees them, transformed one by one.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,).
        padding: Pixels of a random crop; 0 for none.
        flip: Mirror half of the images.
    """

    def __init__(self, images: Tensor, labels: Tensor, *, padding: int = 0, flip: bool = False) -> None:
        channels, size = images.shape[1], images.shape[-1]
        arrays = images.permute(0, 2, 3, 1).numpy()
        self._pictures = [Image.fromarray(a if channels == 3 else a[..., 0]) for a in arrays]
        self._labels = labels.tolist()
        drawn = [transforms.RandomCrop(size, padding=padding)] if padding else []
        mirrored = [transforms.RandomHorizontalFlip()] if flip else []
        plain = [transforms.ToTensor(), transforms.Normalize([0.5] * channels, [0.25] * channels)]
        self._transform = transforms.Compose([*drawn, *mirrored, *plain])

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image, transformed, and its label."""
        return self._transform(self._pictures[index]), self._labels[index]


class PaperStyle:
    """Distillation as one usually writes it.

    Args:
        student: Trained in place.
        teacher: Run at every step.
        train: Training images.
        val: Measured after every epoch.
        batch_size: Images per step.
        lr: Learning rate.
        device: Where the networks are.
        workers: Processes of the DataLoader.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        train: Pictures,
        val: Pictures,
        *,
        batch_size: int,
        lr: float,
        device: str = "cpu",
        workers: int = 0,
    ) -> None:
        self._student, self._teacher, self._device = student.to(device), teacher.to(device).eval(), device
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "num_workers": workers,
            "persistent_workers": workers > 0,
        }
        self._train, self._val = DataLoader(train, shuffle=True, **options), DataLoader(val, **options)
        self._optimizer = torch.optim.SGD(
            student.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4
        )

    def epoch(self) -> float:
        """Train and measure one epoch; return the accuracy."""
        self._student.train()
        for images, labels in self._train:
            self._step(images.to(self._device), labels.to(self._device))
        self._student.eval()
        right = 0
        with torch.no_grad():
            for images, labels in self._val:
                answers = self._student(images.to(self._device)).argmax(1)
                right += (answers == labels.to(self._device)).sum().item()
        return right / len(self._val.dataset)  # type: ignore[arg-type]

    def _step(self, images: Tensor, labels: Tensor, temperature: float = 4.0, alpha: float = 0.9) -> None:
        with torch.no_grad():
            soft = functional.softmax(self._teacher(images) / temperature, dim=1)
        logits = self._student(images)
        divergence = functional.kl_div(
            functional.log_softmax(logits / temperature, dim=1), soft, reduction="batchmean"
        )
        loss = alpha * temperature**2 * divergence + (1 - alpha) * functional.cross_entropy(logits, labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        loss.item()
