"""What is kept of a training, and when? After any step, once the interval is over; whole epochs with their reports."""

from collections.abc import Callable

from pdsearch.specs import Json
from pdsearch.training.checkpoint import Checkpoint
from pdsearch.training.part import BEGIN, PREFIX, Part
from pdsearch.training.report import EpochReport
from pdsearch.training.state import TrainingState

__all__ = ["Progress"]


class Progress:
    """The progress of one training. Invariant: `reports` are those of the whole epochs that `state` has seen.

    Args:
        checkpoint: Where it is kept; None keeps nothing.
        identity: Of the training.
        state: What changes while it trains; `resume` puts it back.
    """

    def __init__(self, checkpoint: Checkpoint | None, identity: str, state: TrainingState) -> None:
        self._checkpoint, self._identity, self._state = checkpoint, identity, state
        self.reports: list[EpochReport] = []

    def resume(self) -> Part:
        """Go back to what was kept, if anything was; return how far the epoch after the reports had come."""
        stored = self._checkpoint.load(self._identity) if self._checkpoint is not None else None
        if stored is None:
            return BEGIN
        tensors, meta = stored
        ours = {name: tensor for name, tensor in tensors.items() if not name.startswith(PREFIX)}
        self._state.restore(ours, meta["state"])
        self.reports = [EpochReport.from_json(report) for report in meta["reports"]]
        return Part.stored(tensors, meta["part"]) if "part" in meta else BEGIN

    def keep(self, part: Callable[[], Part] | None = None) -> bool:
        """Save if it is time to; say whether it was.

        Args:
            part: Returns how far the epoch after the reports has come; None where it has not begun.
        """
        due = self._checkpoint is not None and self._checkpoint.due()
        if due:
            self.save(part() if part is not None else None)
        return due

    def save(self, part: Part | None = None) -> None:
        """Save, whether or not it is time to."""
        if self._checkpoint is None:
            return
        reports: list[Json] = [report.to_json() for report in self.reports]
        tensors = self._state.tensors()
        meta: dict[str, Json] = {"state": self._state.meta(), "reports": reports}
        if part is not None:
            tensors, meta = {**tensors, **part.tensors()}, {**meta, "part": part.meta()}
        self._checkpoint.save(self._identity, tensors, meta)
