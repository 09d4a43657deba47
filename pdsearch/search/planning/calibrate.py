"""Measured speeds of a study's networks on this machine, kept in its storage, and the hours of a plan with them."""

import json
import os
import platform
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import torch
from torch.nn import functional

from pdsearch.errors import StorageError
from pdsearch.io import Place, read, replace
from pdsearch.models import build, without_weights
from pdsearch.pipeline.keys import needs_teacher, teacher_key
from pdsearch.search.planning.disk import DataShape, listens, view_epochs
from pdsearch.search.planning.outcomes import unshaped
from pdsearch.search.planning.simulate import Plan
from pdsearch.specs import Json, Params, digest
from pdsearch.training.device import Engine, cores
from pdsearch.user_code import is_dotted, source_hash

START_S = 25.0
"""Seconds in which a run starts: Ray, its workers, their imports, the trial in small."""

MOST = 16
"""Most passes of networks that are measured for a plan."""

ENOUGH_S, MOST_BATCH = 1.0, 64


class Pass(NamedTuple):
    """What is measured of a network: its training on batches of a size, or its outputs alone."""

    model: str
    options: Params
    batch: int
    train: bool


@dataclass(frozen=True)
class Measured:
    """A speed: images a second of one core's time, or of a GPU's, and when it was measured, ISO 8601."""

    model: str
    options: Params
    batch: int
    train: bool
    images_per_s: float
    at: str


@dataclass
class Rates:
    """Speeds of networks on this machine; what is not known yet is measured for a second.

    On a CPU they are those of a core that does nothing else: processor time is counted, with one thread.

    Args:
        images: The data set.
        engine: Device and precision.
        folder: Of the measurements, which are kept under what was measured and where; None keeps none.
        known: Those used so far.
        unkept: Why some of them could not be kept; None where all were.

    Raises:
        ConfigError: A network cannot be built.
    """

    images: DataShape
    engine: Engine
    folder: Place | None = None
    known: dict[Pass, Measured] = field(default_factory=dict)
    unkept: str | None = None

    def of(self, what: Pass) -> float:
        """Return images a second."""
        if what not in self.known:
            self.known[what] = self._kept(what) or self._measured(what)
        return self.known[what].images_per_s

    def trained(self) -> list[Measured]:
        """Return the speeds of trainings that were used so far."""
        return [one for one in self.known.values() if one.train]

    def _kept(self, what: Pass) -> Measured | None:
        # Whatever is not as this version writes it, or cannot be read, is measured again.
        with suppress(ValueError, TypeError, KeyError, StorageError):
            if self.folder is not None and (content := read(self.folder / self._name(what))):
                found = json.loads(content)
                return Measured(*what, float(found["images_per_s"]), str(found["at"]))
        return None

    def _measured(self, what: Pass) -> Measured:
        found = Measured(*what, images_per_s(what, self.images, self.engine), _now())
        if self.folder is not None:
            content = {**asdict(found), "machine": platform.node(), "load": os.getloadavg()[0]}
            try:
                replace(self.folder / self._name(what), json.dumps(content, indent=1).encode())
            except StorageError as error:
                self.unkept = f"{error.where}: {error.what}"
        return found

    def _name(self, what: Pass) -> str:
        """Return the name of a measurement's file: a hash of the network, its inputs and the machine."""
        images, engine = self.images, self.engine
        device = torch.cuda.get_device_name() if engine.kind == "cuda" else "cpu"
        exact: dict[str, Json] = {
            "network": [what.model, [list(option) for option in what.options]],
            "code": source_hash(what.model) if is_dotted(what.model) else None,
            "work": [what.batch, what.train, engine.precision],
            "inputs": [images.classes, *images.inputs.shape],
            "machine": [platform.node(), device, torch.__version__],
        }
        return f"{digest(exact)[:32]}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def images_per_s(what: Pass, images: DataShape, engine: Engine) -> float:
    """Return the speed of a network with random weights on random images, measured for a second."""
    shape, options = images.inputs.shape, without_weights(what.model, what.options)
    network = build(what.model, num_classes=images.classes, input_shape=shape, seed=0, options=options)
    network = engine.place(network).train(what.train)
    batch = engine.images(torch.randn(what.batch, *shape))
    labels = torch.arange(what.batch, device=engine.device) % images.classes
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    clock = time.perf_counter if engine.kind == "cuda" else time.process_time
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began, used = time.perf_counter(), clock()
        done = -1  # The first step sets kernels up, and is not counted.
        while done < 1 or time.perf_counter() - began < ENOUGH_S:
            with torch.set_grad_enabled(what.train), engine.autocast():
                loss = functional.cross_entropy(network(batch), labels)
            if what.train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            float(loss.detach())  # Waits for a GPU.
            done += 1
            if done == 0:
                began, used = time.perf_counter(), clock()
        return done * what.batch / max(clock() - used, 1e-9)
    finally:
        torch.set_num_threads(threads)


def busy() -> str | None:
    """Return that others keep the cores of this machine busy; None where they do not."""
    load, there = os.getloadavg()[0], cores()
    if load <= there + 1:
        return None
    return (
        f"other work keeps the {there} cores busy (load {load:.0f}): while it does, everything takes longer"
    )


def passes(planned: Plan) -> dict[Pass, float]:
    """Return what the networks of a plan compute, in epochs: trainings, and the outputs of teachers."""
    found: dict[Pass, float] = defaultdict(float)
    for artifact in planned.artifacts:
        teacher = artifact.spec.teacher
        what = Pass(teacher.model, teacher.options, min(teacher.recipe.batch_size, MOST_BATCH), True)
        found[what] += artifact.epochs * artifact.built
    drawn = sum(spec.distill.recipe.epochs for spec in planned.students)
    more = (planned.with_reuse - sum(found.values())) / drawn if drawn else 0
    streams = set()
    for spec in planned.students:
        epochs, batch = spec.distill.recipe.epochs, min(spec.distill.recipe.batch_size, MOST_BATCH)
        found[Pass(*unshaped(spec)[:2], batch, True)] += epochs * more
        if not needs_teacher(spec):
            continue
        # Logits are stored, and serve all that hear the same teacher on the same views; feature maps run live.
        stream = (teacher_key(spec), spec.distill.view_seed) if listens(spec) else None
        if stream is None or stream not in streams:
            computed = epochs * more if stream is None else view_epochs(spec)
            found[Pass(spec.teacher.model, spec.teacher.options, batch, False)] += computed
            streams.add(stream)
    return found


def seconds(planned: Plan, rates: Rates, images: int, *, gpu: float, most: int = MOST) -> float:
    """Return about how long the jobs of a study take if no trial is stopped early, in seconds.

    Args:
        planned: Its plan.
        rates: Of its networks.
        images: Training images without those for validation.
        gpu: The share of a GPU that a trial has; 0 takes a core each.
        most: Passes that are measured, those of the most epochs; any others are taken to be as slow as the slowest.
    """
    at_once = max(1, int(torch.cuda.device_count() / gpu)) if gpu else cores()
    epochs = {what: count for what, count in passes(planned).items() if count > 0}
    each = {what: 1 / rates.of(what) for what in sorted(epochs, key=epochs.__getitem__)[-most:]}
    slowest = max(each.values(), default=0.0)
    return sum(each.get(what, slowest) * count for what, count in epochs.items()) * images / at_once
