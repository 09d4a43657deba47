"""Curves and parameters of trials in TensorBoard: `pdsearch run SPACE.yaml --observer to_tensorboard:TensorBoard`.

Then `tensorboard --logdir tensorboard`.
"""

from torch.utils.tensorboard import SummaryWriter

import pdsearch


class TensorBoard(pdsearch.Observer):
    """Writes a run for each trial: the curve of its student by epoch, and what was sampled beside what it reached."""

    def __init__(self, space: pdsearch.Space) -> None:
        self.folder, self.writers = f"tensorboard/{space.study}", {}

    def started(self, job: pdsearch.Job) -> None:
        """Begin a run."""
        self.writers[job.id] = SummaryWriter(f"{self.folder}/{job.id}")

    def event(self, job: pdsearch.Job, event: pdsearch.Event) -> None:
        """Add a point to the curve."""
        if isinstance(event, pdsearch.Report) and event.val_accuracy is not None:
            self.writers[job.id].add_scalar("student.val_accuracy", event.val_accuracy, event.epoch)

    def ended(
        self, job: pdsearch.Job, outcome: pdsearch.Outcome, record: pdsearch.TrialRecord | None
    ) -> None:
        """Add what was sampled and reached."""
        sampled = {
            name: value if isinstance(value, int | float) else str(value)
            for name, value in job.params.items()
        }
        self.writers[job.id].add_hparams(
            sampled, {f"end/{k}": v for k, v in outcome.values.items()}, run_name="."
        )
        self.writers.pop(job.id).close()

    def close(self) -> None:
        """Close what was interrupted."""
        for writer in self.writers.values():
            writer.close()
