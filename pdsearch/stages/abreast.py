"""What do replicas see, hear and score, trained as one network? Each its own, step by step the same as alone."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from pdsearch.data import Dataset, Split, Views
from pdsearch.models.stacked import Stack
from pdsearch.stages.lesson import Pupil
from pdsearch.training import Batches, Engine, Objective, evaluating, order

__all__ = ["Abreast", "Replicas", "objective_of", "scored"]

_BATCH_SIZE = 1000


class Replicas(nn.Module):
    """Students as one network, with what they scored: buffers, so that a checkpoint holds it, too.

    Args:
        students: Untrained, of one architecture.
        epochs: They will be trained for.
    """

    losses: Tensor
    """Sum of the losses of an epoch's images so far, float64 (epochs, K)."""
    right: Tensor
    """Validation images that each got right after an epoch, int64 (epochs, K)."""
    ended: Tensor
    """Epochs measured, int64 ()."""

    def __init__(self, students: Sequence[nn.Module], epochs: int) -> None:
        super().__init__()
        self.stack = Stack(students)
        self.register_buffer("losses", torch.zeros(epochs, len(students), dtype=torch.float64))
        self.register_buffer("right", torch.zeros(epochs, len(students), dtype=torch.int64))
        self.register_buffer("ended", torch.zeros((), dtype=torch.int64))


class Abreast:
    """The images of all replicas side by side, each in its own order of its own views.

    Whoever trains them draws one order, by its own seed; what stands at a place in that order is, for each replica,
    what stands there in its own.

    Args:
        seen: Views of each replica; all of the same images.
        seeds: Of the orders of each.
        seed: Of the order that is drawn.
    """

    def __init__(self, seen: Sequence[Views], seeds: Sequence[int], *, seed: int) -> None:
        self.seen, self._seeds, self._seed = seen, seeds, seed
        self._drawn: tuple[int, list[Tensor]] | None = None

    def __len__(self) -> int:
        """Return the number of images of one replica."""
        return len(self.seen[0])

    def batch(self, epoch: int, index: Tensor) -> Tensor:
        """Return the views that stand at an index, float32 (B, K * C, H, W)."""
        own = zip(self.seen, self.own(epoch, index), strict=True)
        return torch.cat([seen.batch(epoch, positions) for seen, positions in own], dim=1)

    def own(self, epoch: int, index: Tensor) -> list[Tensor]:
        """Return the positions of each replica's images that stand at an index, int64 (B,)."""
        if self._drawn is None or self._drawn[0] != epoch:
            drawn, count = order(self._seed, epoch, len(self)), len(self)
            found = [torch.empty_like(drawn).scatter_(0, drawn, order(s, epoch, count)) for s in self._seeds]
            self._drawn = (epoch, [each.to(index.device) for each in found])
        return [each[index] for each in self._drawn[1]]


class _Said(nn.Module):
    """Stands for a replica in its lesson: what it says of the images was computed with the others'."""

    logits: Tensor

    def forward(self, _images: Tensor) -> Tensor:
        """Return the logits, (B, classes)."""
        return self.logits


def objective_of(lessons: Sequence[Objective], abreast: Abreast) -> Objective:
    """Return the sum of all replicas' losses, so that the gradient of each is that of its own.

    Args:
        lessons: Of each replica; of losses that want logits alone.
        abreast: Their images.
    """
    said = [_Said() for _ in lessons]
    pupils = [Pupil(one, None) for one in said]

    def objective(model: nn.Module, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        assert isinstance(model, Replicas)
        for one, logits in zip(said, model.stack(images).unbind(1), strict=True):
            one.logits = logits
        heard = zip(lessons, pupils, abreast.own(epoch, index), strict=True)
        losses = torch.stack([lesson(pupil, images, own, epoch) for lesson, pupil, own in heard])
        for one in said:
            # What holds a step's logits holds its autograd graph, whose nodes the next step would use again: on the
            # stream of this one, which no capture of the next could follow.
            del one.logits
        model.losses[epoch].add_(losses.detach(), alpha=len(index))
        return losses.sum()

    return objective


def scored(data: Dataset, seen: Batches, engine: Engine) -> Callable[[nn.Module], float | None]:
    """Return what measures all replicas on the validation images, notes each one's, and returns their mean.

    Args:
        data: The images.
        seen: The validation images, unaugmented.
        engine: Device and precision.
    """
    val: Split = data.val

    def evaluate(model: nn.Module) -> float | None:
        assert isinstance(model, Replicas)
        right = model.right[int(model.ended)]
        model.ended += 1
        if not len(val):
            return None
        labels = val.labels.to(engine.device)
        with evaluating(model), engine.autocast():
            for index in torch.arange(len(val), device=engine.device).split(_BATCH_SIZE):
                images = engine.images(seen.batch(0, index).repeat(1, model.stack.count, 1, 1))
                right += (model.stack(images).argmax(dim=2) == labels[index, None]).sum(dim=0)
        return float(right.double().mean()) / len(val)

    return evaluate
