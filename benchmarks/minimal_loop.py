"""The shortest distillation loop, as a bound: no checkpoints, no reports, no seeds by epoch, no masks.

It bounds what the engine could reach: images normalised once, logits of all epochs in memory, nothing measured twice.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ByHand:
    """Distillation from ready-made logits, as short as it can be written.

    Args:
        student: Trained in place; placed and laid out by the caller.
        images: Normalised training images, float32 (N, C, H, W), on the device, channels_last.
        labels: int64 (N,).
        logits: Of the teacher for the views of one epoch, (N, classes); every epoch hears the same.
        val: Normalised validation images.
        val_labels: Theirs.
        padding: Pixels of a random crop; 0 for none.
        flip: Mirror half of the images.
        batch_size: Images per step.
        lr: Learning rate.
        precision: "bf16" or "fp32".
    """

    def __init__(
        self,
        student: nn.Module,
        images: Tensor,
        labels: Tensor,
        logits: Tensor,
        val: Tensor,
        val_labels: Tensor,
        *,
        padding: int,
        flip: bool,
        batch_size: int,
        lr: float,
        precision: str,
    ) -> None:
        self._student, self._labels, self._logits = student, labels, logits
        self._val, self._val_labels = val, val_labels
        self._size, self._batch_size = images.shape[-1], batch_size
        self._padding, self._flip = padding, flip
        self._images = images if not padding else functional.pad(images, [padding] * 4)
        self._autocast = torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bf16")
        self._optimizer = torch.optim.SGD(
            student.parameters(), lr=lr, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
        )

    def epoch(self) -> float:
        """Train and measure one epoch; return the accuracy."""
        self._student.train()
        images = self._views()
        for index in torch.randperm(len(images), device=images.device).split(self._batch_size):
            self._step(images[index], index)
        self._student.eval()
        with torch.no_grad(), self._autocast:
            answers = torch.cat([self._student(batch).argmax(1) for batch in self._val.split(1000)])
        return float((answers == self._val_labels).float().mean())

    def _views(self) -> Tensor:
        """Return the epoch's views: one copy per offset, as airbench (arXiv 2404.00498) crops."""
        if not self._padding:
            return self._images
        n, size, device = len(self._images), self._size, self._images.device
        views = torch.empty(
            (n, self._images.shape[1], size, size), device=device, memory_format=torch.channels_last
        )
        offsets = torch.randint(0, 2 * self._padding + 1, (n, 2), device=device)
        for row in range(2 * self._padding + 1):
            for column in range(2 * self._padding + 1):
                chosen = (offsets[:, 0] == row) & (offsets[:, 1] == column)
                views[chosen] = self._images[chosen, :, row : row + size, column : column + size]
        if not self._flip:
            return views
        mirrored = torch.rand(n, device=device) < 0.5
        views[mirrored] = views[mirrored].flip(-1)
        return views

    def _step(self, images: Tensor, index: Tensor, temperature: float = 4.0, alpha: float = 0.9) -> None:
        with self._autocast:
            logits = self._student(images).float()
        divergence = functional.kl_div(
            functional.log_softmax(logits / temperature, dim=1),
            functional.softmax(self._logits[index].float() / temperature, dim=1),
            reduction="batchmean",
        )
        loss = alpha * temperature**2 * divergence + (1 - alpha) * functional.cross_entropy(
            logits, self._labels[index]
        )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
