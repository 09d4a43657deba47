"""What of a planned study lies in the storage already, and the hours that the rest takes on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pdsearch.artifacts import open_store
from pdsearch.config import Space
from pdsearch.errors import PdsearchError
from pdsearch.input_spec import InputSpec
from pdsearch.io import resolved
from pdsearch.io.studies import begun
from pdsearch.pipeline.keys import dense_key, round_keys
from pdsearch.search.planning.calibrate import START_S, Measured, Rates, busy, passes, seconds
from pdsearch.search.planning.disk import DataShape
from pdsearch.search.planning.simulate import Plan, PlannedArtifact
from pdsearch.search.resolved import Description
from pdsearch.search.study import described
from pdsearch.training.device import Engine, pick_device, resolve_precision


def without_stored(space: Space, planned: Plan) -> tuple[Plan, list[str]]:
    """Return a plan without the teachers and rounds that are stored already, and the labels of these.

    Where the data cannot be read, or a checkpoint cannot, nothing is known to be stored.
    """
    try:
        found, root = described(space), resolved(space.storage)
        began = begun(root / space.study)
        store = open_store(root / "artifacts")
        chosen = began.precision if began else space.precision
        there: list[PlannedArtifact] = []
        for precision in ("fp32", "bf16") if chosen == "auto" else (chosen,):
            exact = replace(found, precision=precision)
            stored = [
                one
                for one in planned.artifacts
                if any(store.find(stage, key) is not None for stage, key in _key(one, exact))
            ]
            there = max(there, stored, key=len)
    except PdsearchError:
        return planned, []
    left = tuple(replace(one, built=0.0) if one in there else one for one in planned.artifacts)
    spared = sum(one.epochs * one.built for one in there)
    return replace(planned, artifacts=left, spared=spared), [one.label for one in there]


def _key(artifact: PlannedArtifact, found: Description) -> Iterator[tuple[str, str]]:
    """Yield the stage and the key of an artifact, where both are known before the study begins."""
    spec = artifact.spec
    if spec.teacher.checkpoint is not None:
        return
    spec = found.complete(spec)
    if artifact.number is not None:
        yield artifact.stage, round_keys(spec)[artifact.number]
    elif artifact.label == spec.teacher.model:
        yield artifact.stage, dense_key(spec)


@dataclass(frozen=True)
class Hours:
    """How long a study takes if no trial is stopped early.

    Args:
        seconds: In all.
        device: "cpu" or "cuda".
        measured: Speeds of its networks on this machine.
        left_out: How many more there are, which were taken to be as slow as the slowest of these.
        busy: That other work keeps the machine busy, if so.
    """

    seconds: float
    device: str
    measured: tuple[Measured, ...]
    left_out: int
    busy: str | None


def hours(space: Space, planned: Plan, images: DataShape) -> Hours:
    """Measure the networks of a planned study for a second each, and return the time that the whole plan takes.

    What was measured is kept in the storage, and serves again on this machine.

    Args:
        space: What is searched.
        planned: Its plan.
        images: Its data set.

    Raises:
        ConfigError: A network cannot be built, or there is no GPU as the space asks.
    """
    data, gpu = space.resolve(space.defaults()).data, space.resources.gpu
    if data.crop:
        inputs = InputSpec((images.inputs.shape[0], data.crop, data.crop), images.inputs.dtype)
        images = replace(images, inputs=inputs)
    device = pick_device(gpu)
    precision = resolve_precision(space.precision, device) if gpu else "fp32"
    rates = Rates(images, Engine(device, precision), resolved(space.storage) / "speeds")
    # An epoch also evaluates the images for validation: a forward pass, a third of a training step.
    told = seconds(planned, rates, round(images.train * (1 - data.val_fraction * 2 / 3)), gpu=gpu)
    measured = tuple(rates.known.values())
    left_out = sum(count > 0 for count in passes(planned).values()) - len(measured)
    return Hours(START_S + told, device, measured, left_out, busy() if device == "cpu" else None)
