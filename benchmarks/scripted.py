"""A study that trains nothing: jobs answered at once, from a formula of what was sampled."""

import math
from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path

from pdsearch.config import Space, load
from pdsearch.protocol import Event, Job, Outcome, Ready, Report, StudentFacts, TeacherFacts
from pdsearch.search.optuna_backend.ledger import Ledger

SPACE = """
study: scripted
data: {{source: digits}}
teacher: {{model: convnet_l, seed: 0}}
student: {{model: convnet_s}}
train:
  teacher: {{epochs: 1, lr: 0.05}}
  recover: {{epochs: 1, lr: 0.05}}
  distill: {{epochs: {epochs}}}
prune: {{schedule: geometric, recovery: lr_rewind, scope: global}}
space:
  prune.method: [none, magnitude, random]
  prune.ratio: {{choices: [0.36, 0.59, 0.79], when: {{prune.method: [magnitude, random]}}}}
  distill.temperature: {{low: 1, high: 20, log: true}}
  distill.alpha: {{low: 0.1, high: 1.0}}
  train.distill.lr: {{low: 0.001, high: 0.5, log: true}}
  train.distill.weight_decay: {{low: 1.0e-6, high: 1.0e-2, log: true}}
search: {{trials: {trials}, sampler: {sampler}, seed: 0, max_failures: 1000000}}
objectives: [{{metric: student.val_accuracy, goal: maximize}}]
resources: {{cpu: 1, gpu: 0}}
storage: {storage}
"""


CENTRE = {
    "distill.temperature": 4.0,
    "distill.alpha": 0.8,
    "train.distill.lr": 0.06,
    "train.distill.weight_decay": 5e-4,
    "prune.method": "none",
}


def space(
    folder: Path, *, trials: int, sampler: str, epochs: int = 1, overrides: Sequence[str] = ()
) -> Space:
    """Return a space of six parameters, one of them conditional."""
    file = folder / "space.yaml"
    file.write_text(SPACE.format(trials=trials, sampler=sampler, epochs=epochs, storage=folder / "runs"))
    return load(file, overrides)


def answers(job: Job) -> Generator[Event, None, None]:
    """Yield what a trained trial would have said: the better, the nearer to one point of the space."""
    if job.kind == "teacher":
        yield Outcome("complete", values={"teacher.val_accuracy": 0.9})
        return
    params = {**CENTRE, **job.params}
    distance = (
        (math.log(params["distill.temperature"]) - 1.4) ** 2 / 4
        + (params["distill.alpha"] - 0.8) ** 2
        + (math.log10(params["train.distill.lr"]) + 1.2) ** 2 / 4
        + (math.log10(params["train.distill.weight_decay"]) + 3.3) ** 2 / 16
        + {"magnitude": 0.0, "none": 0.03, "random": 0.05}[params["prune.method"]]
        + abs(params.get("prune.ratio", 0.36) - 0.59) / 5
    )
    value, epochs = math.exp(-distance), job.spec.distill.recipe.epochs
    student = StudentFacts(model="convnet_s", params=2000, flops=1)
    key, method = "0" * 64, params["prune.method"]
    teacher = TeacherFacts(key=key, config=key, model="convnet_l", method=method, val_accuracy=0.9)
    yield Ready(teacher, student, (), {}, "", "cpu")
    for epoch in range(1, epochs + 1):
        yield Report(epoch, epochs, value * epoch / epochs, 1.0)
    yield Outcome("complete", values={"student.val_accuracy": value, "student.params": 2000.0})


def drive(ledger: Ledger, trials: int, *, slots: int) -> None:
    """Run trials through a ledger, so many at once, first in first out."""
    running: deque[Job] = deque()
    for _ in range(trials):
        if len(running) >= slots:
            end(ledger, running.popleft())
        job = ledger.ask()
        if job is None:
            break
        running.append(job)
    while running:
        end(ledger, running.popleft())


def end(ledger: Ledger, job: Job) -> None:
    """Let a job say all it has to say."""
    for event in answers(job):
        if isinstance(event, Outcome):
            ledger.finish(job, event)
        else:
            ledger.tell(job, event)
