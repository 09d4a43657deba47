"""Measured speed of a network's training on this machine, and the hours that a planned study takes with it."""

import time
from dataclasses import dataclass

import torch
from torch.nn import functional

from pdsearch.cores import cores
from pdsearch.models import build, without_weights
from pdsearch.search.planning.disk import DataShape
from pdsearch.search.planning.simulate import Plan
from pdsearch.specs import Params

START_S = 25.0
"""Seconds in which a run starts: Ray, its workers, their imports, the trial in small."""

BATCH, STEPS, ENOUGH_S = 32, 8, 1.0


@dataclass(frozen=True)
class Speed:
    """Images a second that one trial trains on: the teacher, the student, and the teacher's forward pass alone."""

    teacher: float
    student: float
    outputs: float


def speed(teacher: tuple[str, Params], student: tuple[str, Params], images: DataShape, device: str) -> Speed:
    """Train both networks for a second each on random images, with one thread on a CPU.

    Args:
        teacher: Its name and options.
        student: The same of the student.
        images: The data set.
        device: "cpu" or "cuda".

    Raises:
        ConfigError: A network cannot be built.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return Speed(
            _images_per_s(*teacher, images, device, train=True),
            _images_per_s(*student, images, device, train=True),
            _images_per_s(*teacher, images, device, train=False),
        )
    finally:
        torch.set_num_threads(threads)


def _images_per_s(name: str, options: Params, shape: DataShape, device: str, *, train: bool) -> float:
    given = without_weights(name, options)
    network = build(name, num_classes=shape.classes, input_shape=shape.inputs.shape, seed=0, options=given)
    network = network.to(device).train(train)
    batch = torch.randn(BATCH, *shape.inputs.shape, device=device)
    labels = torch.arange(BATCH, device=device) % shape.classes
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    began, done = time.perf_counter(), -1  # The first step sets up kernels, and is not counted.
    while done < STEPS and (done < 1 or time.perf_counter() - began < ENOUGH_S):
        with torch.set_grad_enabled(train):
            loss = functional.cross_entropy(network(batch), labels)
        if train:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        float(loss.detach())  # Waits for a GPU.
        done += 1
        began = time.perf_counter() if done == 0 else began
    return done * BATCH / (time.perf_counter() - began)


def seconds(planned: Plan, speed: Speed, images: int, *, gpu: float) -> float:
    """Return about how long the jobs of a study take if no trial is stopped early, in seconds.

    Args:
        planned: Its plan.
        speed: Of its networks.
        images: Training images without those for validation.
        gpu: The share of a GPU that a trial has; 0 takes a core each.
    """
    at_once = max(1, int(torch.cuda.device_count() / gpu)) if gpu else cores()
    teachers = sum(artifact.epochs * artifact.built for artifact in planned.artifacts)
    students = planned.with_reuse - teachers
    each = students / max(1.0, sum(phase.students for phase in planned.phases))
    outputs = each * len(planned.artifacts)  # The logits of a teacher are computed once for each view.
    work = teachers / speed.teacher + students / speed.student + outputs / speed.outputs
    return work * images / at_once
