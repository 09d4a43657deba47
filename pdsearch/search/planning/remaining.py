"""What is left to compute of a study, its range over several draws, and the hours that it takes on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pdsearch.artifacts import ArtifactStore, open_store
from pdsearch.config import Space
from pdsearch.errors import PdsearchError
from pdsearch.input_spec import InputSpec
from pdsearch.io import resolved
from pdsearch.io.studies import begun as record_of
from pdsearch.io.studies import path_text
from pdsearch.pipeline.keys import dense_key, early_key, round_keys
from pdsearch.records.codec import decode
from pdsearch.records.study_record import StudySpace
from pdsearch.search.identity import changes_of
from pdsearch.search.planning.calibrate import START_S, Measured, Rates, busy, passes, seconds
from pdsearch.search.planning.disk import DataShape
from pdsearch.search.planning.outcomes import DRAWS
from pdsearch.search.planning.simulate import Begun, Plan, PlannedArtifact, plan
from pdsearch.search.records import Records
from pdsearch.search.resolved import Description
from pdsearch.search.study import described
from pdsearch.training.device import Engine, pick_device, resolve_precision

MOST_TRIALS = 300
"""Most search trials in all draws of a plan."""


@dataclass(frozen=True)
class Forecast:
    """What a study costs from now on, in several draws.

    Args:
        draws: A plan for each, without what is stored already, fewest epochs first.
        stored: The labels of the teachers and rounds that the middle one finds stored.
        other: Why a study of that name, if there is one, is not taken into account.
    """

    draws: tuple[Plan, ...]
    stored: tuple[str, ...]
    other: str | None = None

    @property
    def plan(self) -> Plan:
        """The plan in the middle."""
        return self.draws[len(self.draws) // 2]


@dataclass(frozen=True)
class _Storage:
    """What a space's files hold, its artifacts, the precision it computes in, and its study so far."""

    found: Description
    artifacts: ArtifactStore
    precision: str
    begun: Begun | None = None
    other: str | None = None


def forecast(space: Space) -> Forecast:
    """Return what is left to compute of a study, or all of a new one.

    Where the data cannot be read, or a checkpoint cannot, nothing is known to be stored.

    Raises:
        PdsearchError: A sampler of the user's own fails.
    """
    try:
        there = _storage(space)
    except PdsearchError:
        there = None
    count = max(1, min(DRAWS, MOST_TRIALS // max(1, space.search.trials)))
    begun, other = (there.begun, there.other) if there else (None, None)
    planned = [plan(space, begun, draw=draw) for draw in range(count)]
    pairs = [_without_stored(one, there) if there else (one, ()) for one in planned]
    pairs.sort(key=lambda pair: pair[0].with_reuse)
    draws = tuple(one for one, _ in pairs)
    return Forecast(draws, pairs[len(pairs) // 2][1], other)


def _storage(space: Space) -> _Storage:
    found, root = described(space), resolved(space.storage)
    folder, artifacts = root / space.study, open_store(root / "artifacts")
    began = record_of(folder)
    if began is None:
        return _Storage(found, artifacts, space.precision)
    if changes_of(space, folder, found, began):
        other = (
            f"the study in {path_text(folder)} has another space or other code: this is the plan of a new one"
        )
        return _Storage(found, artifacts, began.precision, other=other)
    exact = replace(found, precision=began.precision)
    records = Records(folder / "trials", decode(StudySpace, space.identity()))
    return _Storage(found, artifacts, began.precision, Begun(records, exact))


def _without_stored(planned: Plan, where: _Storage) -> tuple[Plan, tuple[str, ...]]:
    """Return a plan without the teachers and rounds that are stored already, and the labels of these."""
    there: list[PlannedArtifact] = []
    for precision in ("fp32", "bf16") if where.precision == "auto" else (where.precision,):
        exact = replace(where.found, precision=precision)
        stored = [
            one
            for one in planned.artifacts
            if any(where.artifacts.find(stage, key) is not None for stage, key in _key(one, exact))
        ]
        there = max(there, stored, key=len)
    left = tuple(replace(one, built=0.0) if one in there else one for one in planned.artifacts)
    spared = sum(one.epochs * one.built for one in there)
    return replace(planned, artifacts=left, spared=spared), tuple(one.label for one in there)


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
    elif spec.prune is not None:
        yield "early", early_key(spec, spec.prune.rewind_epoch)


@dataclass(frozen=True)
class Hours:
    """How long the rest of a study takes.

    Args:
        seconds: In all.
        device: "cpu" or "cuda".
        measured: Speeds of its networks on this machine.
        left_out: How many more there are, which were taken to be as slow as the slowest of these.
        busy: That other work keeps the machine busy, if so.
        unkept: Why speeds could not be kept in the storage, if so.
    """

    seconds: float
    device: str
    measured: tuple[Measured, ...]
    left_out: int
    busy: str | None
    unkept: str | None

    def at(self, epochs: float, of: float) -> float:
        """Return the seconds of another draw, from its epochs and those of the draw that this is of."""
        return START_S + (self.seconds - START_S) * epochs / of if of else self.seconds


def hours(space: Space, planned: Plan, images: DataShape) -> Hours:
    """Measure the networks of a planned study for a second each, and return the time that the whole plan takes.

    What was measured is kept in the storage, and serves again on this machine.

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
    others = busy() if device == "cpu" else None
    return Hours(START_S + told, device, measured, left_out, others, rates.unkept)
