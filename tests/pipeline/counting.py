"""A count of the epochs really trained, without those replayed or found in the cache."""

import pytest

from pdsearch.training.checkpoint import EpochPart, EpochReport
from pdsearch.training.fit import Epochs, Keep


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of every epoch trained from now on, from 0."""
    trained: list[int] = []
    run = Epochs.run

    def counting(epochs: Epochs, epoch: int, begun: EpochPart, keep: Keep) -> EpochReport:
        trained.append(epoch)
        return run(epochs, epoch, begun, keep)

    monkeypatch.setattr(Epochs, "run", counting)
    return trained
