"""Trials as runs in MLflow: `pdsearch run SPACE.yaml --observer to_mlflow:MLflow`; MLFLOW_TRACKING_URI says where."""

from mlflow import MlflowClient

import pdsearch


class MLflow(pdsearch.Observer):
    """Keeps an experiment for each study, with a run for each trial."""

    def __init__(self, space: pdsearch.Space) -> None:
        self.client, self.runs = MlflowClient(), {}
        found = self.client.get_experiment_by_name(space.study)
        self.experiment = found.experiment_id if found else self.client.create_experiment(space.study)

    def started(self, job: pdsearch.Job) -> None:
        """Begin a run."""
        run = self.client.create_run(self.experiment, run_name=job.id, tags={"kind": job.kind})
        self.runs[job.id] = run.info.run_id
        for name, value in job.params.items():
            self.client.log_param(run.info.run_id, name, value)

    def event(self, job: pdsearch.Job, event: pdsearch.Event) -> None:
        """Add a point to the curve."""
        if isinstance(event, pdsearch.Report) and event.val_accuracy is not None:
            self.client.log_metric(self.runs[job.id], "val_accuracy", event.val_accuracy, step=event.epoch)

    def ended(
        self, job: pdsearch.Job, outcome: pdsearch.Outcome, record: pdsearch.TrialRecord | None
    ) -> None:
        """Add what was reached, and end the run."""
        for name, value in outcome.values.items():
            self.client.log_metric(self.runs[job.id], name, value)
        self.client.set_terminated(
            self.runs.pop(job.id), "FAILED" if outcome.state == "failed" else "FINISHED"
        )

    def close(self) -> None:
        """End what was interrupted."""
        for run in self.runs.values():
            self.client.set_terminated(run, "KILLED")
