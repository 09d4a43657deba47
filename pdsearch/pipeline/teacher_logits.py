"""Cache of the teacher's logits of each view, computed once per teacher and view stream for all trials.

A block holds a few epochs, so that small data sets do not become thousands of files. The teacher runs over the images
in order and in batches of one size, so that stored logits equal, bit for bit, those of the same pass run live.
"""

from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pdsearch.data.dataset.views import Views
from pdsearch.pipeline.cache import Made, drain, obtain, tensors
from pdsearch.pipeline.context import WorkerContext
from pdsearch.pipeline.keys import outputs_key
from pdsearch.pipeline.networks import Teacher, answering
from pdsearch.protocol import Progress
from pdsearch.specs import TrialSpec
from pdsearch.training.evaluate import check_answers, logits

_BLOCK_BYTES, _BLOCK_EPOCHS = 2**20, 8
_BATCH_SIZE = 500


@dataclass
class TeacherLogits:
    """The teacher's logits for the views of one stream, epoch by epoch.

    Args:
        spec: The trial.
        teacher: The teacher.
        seen: The training views.
        classes: Number of classes.
        site: Where it runs.
    """

    spec: TrialSpec
    teacher: Teacher
    seen: Views
    classes: int
    site: WorkerContext
    _current: dict[int, Tensor] = field(default_factory=dict)

    @property
    def stored(self) -> bool:
        """Whether the logits of all epochs fit into the limit; otherwise none of them is stored."""
        epochs = 1 if self.seen.constant else self.spec.distill.recipe.epochs
        return self._epoch_bytes * epochs <= self.site.outputs_limit_bytes

    def rows(self, epoch: int, index: Tensor) -> Tensor:
        """Return the logits of the indexed images' views in an epoch (from 0), (B, classes)."""
        epoch = 0 if self.seen.constant else epoch
        if epoch not in self._current:
            self._current = self._load(epoch)
        return self._current[epoch][index]

    def _load(self, epoch: int) -> dict[int, Tensor]:
        per_block = self._epochs_per_block
        block = epoch // per_block
        key = outputs_key(self.spec, block=block, epochs_per_block=per_block)
        if not self.stored or not self._has_a_place(key):
            return {epoch: self._live(epoch)}

        def load() -> tuple[Tensor, int]:
            entry = drain(obtain(self.site, "outputs", key, lambda: self._compute(block)))
            held = tensors(entry)["logits"].to(self.site.device)  # (epochs of the block, N, classes)
            return held, held.nbytes

        held = self.site.kept.get(("outputs", key), load)
        return {block * per_block + row: held[row] for row in range(len(held))}

    def _has_a_place(self, key: str) -> bool:
        there = self.site.store.find("outputs", key) is not None
        return there or self.site.shelf.take(self._epoch_bytes * self._epochs_per_block)

    def _live(self, epoch: int) -> Tensor:
        """Return the teacher's logits for all views of an epoch, (N, classes), in the precision it computes in."""
        engine = self.site.engine(self.spec.precision)
        model = answering(self.teacher, self.site, self.spec.precision)
        found = logits(model, self.seen, engine=engine, epoch=epoch, batch_size=_BATCH_SIZE)
        check_answers(found, "training")
        return found

    @property
    def _epoch_bytes(self) -> int:
        width = 4 if self.spec.precision == "fp32" else 2
        return len(self.seen) * self.classes * width

    @property
    def _epochs_per_block(self) -> int:
        return 1 if self.seen.constant else max(1, min(_BLOCK_EPOCHS, _BLOCK_BYTES // self._epoch_bytes))

    def _compute(self, block: int) -> Generator[Progress, None, Made]:
        per_block = self._epochs_per_block
        rows = []
        for epoch in range(block * per_block, (block + 1) * per_block):
            yield Progress("outputs", note="teacher's logits", epoch=epoch + 1)
            rows.append(self._live(epoch))
        return Made({"logits": torch.stack(rows)}, {"block": block, "epochs": per_block})
