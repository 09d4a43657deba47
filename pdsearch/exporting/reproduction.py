"""Training of an exported configuration again, from nothing, and its comparison with what was exported."""

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
from safetensors.torch import load_file
from scipy.special import stdtrit
from torch import Tensor

from pdsearch.analysis.study_table import Row, read_study
from pdsearch.artifacts import open_store
from pdsearch.config import Space, load
from pdsearch.driver import choose_ray, drive
from pdsearch.errors import ConfigError, StorageError, TrialError
from pdsearch.exporting.student_file import STUDENT_FILE, read_card
from pdsearch.exporting.trained import trained_student
from pdsearch.observer import Observer
from pdsearch.pipeline.keys import student_key
from pdsearch.records.codec import decode, encode
from pdsearch.records.trial_record import TrialRecord
from pdsearch.search.study import described
from pdsearch.signals import Stop
from pdsearch.specs import Json, TrialSpec

_ACCURACIES = ("val_accuracy", "test_accuracy", "teacher_val_accuracy", "teacher_test_accuracy")


@dataclass(frozen=True)
class Export:
    """An exported folder.

    Args:
        folder: Its path.
        config: Its space file, of one trial.
        best: The exported trial, as its study's table of trials has it.
        versions: Versions of the software that it was trained with; empty in exports of earlier versions.
        seeds: Number of its configuration's confirmation students.
        means: Mean accuracies over those students, by the name of their column; empty if they had several teachers.
    """

    folder: Path
    config: Path
    best: Mapping[str, Any]
    versions: Mapping[str, Json]
    seeds: int
    means: Mapping[str, float]


@dataclass(frozen=True)
class Fresh:
    """Students of the exported configuration with fresh seeds, beside the record.

    Args:
        metric: "test_accuracy", or "val_accuracy" where the record has no other.
        seeds: Seeds of the students.
        values: Accuracy of each.
        record: Mean of the record, over `record_seeds` students.
        record_seeds: Number of students in the record.
        low: Lower end of the interval in which the mean of so many further students lies, with 95 %.
        high: Upper end.
    """

    metric: str
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    record: float
    record_seeds: int
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Whether the record lies inside the interval."""
        return self.low <= self.record <= self.high


@dataclass(frozen=True)
class Reproduction:
    """An exported configuration that was trained again.

    Args:
        same_bits: Whether all weights of the student equal the exported ones to the bit.
        differs: What differs from where and with what it was trained, in words; empty where nothing does.
        accuracies: Accuracy of the record and of the new trial, by the name of their column.
        tolerance: Largest difference of accuracies that passes where machine or versions differ.
        fresh: Students with fresh seeds, if they were asked for.
    """

    same_bits: bool
    differs: tuple[str, ...]
    accuracies: Mapping[str, tuple[float, float]]
    tolerance: float
    fresh: Fresh | None = None

    @property
    def close(self) -> bool:
        """Whether the student's accuracies differ by the tolerance at most."""
        pairs = [pair for name, pair in self.accuracies.items() if not name.startswith("teacher")]
        return all(abs(was - now) <= self.tolerance + 1e-9 for was, now in pairs)

    @property
    def passed(self) -> bool:
        """Whether the record is reproduced: to the bit, or within the tolerance elsewhere; and by fresh seeds."""
        again = self.same_bits or (bool(self.differs) and self.close)
        return again and (self.fresh is None or self.fresh.inside)


def read_export(folder: Path) -> Export:
    """Read an exported folder.

    Raises:
        ConfigError: It is none, or holds no trained student.
        StorageError: One of its files is damaged.
    """
    config, result = folder / "config.yaml", folder / "result.json"
    for path in (config, result):
        if not path.is_file():
            raise ConfigError(
                f"is no exported folder: it has no {path.name}",
                where=str(folder),
                hint="name one that `pdsearch export` wrote",
            )
    try:
        about = json.loads(result.read_text(encoding="utf-8"))
        best = dict(about["best"])
        # Fresh students share the exported one's teacher, so a mean over several teachers is not theirs.
        mean = about["teacher_seeds"] == 1
        means = {f"{one}_accuracy": about[one]["mean"] for one in ("val", "test") if mean and about[one]}
        seeds = int(about["seeds"])
        found = Export(folder, config, best, dict(about.get("versions") or {}), seeds, means)
        decode(TrialSpec, best["spec"])
    except (ValueError, KeyError, TypeError) as error:
        hint = "export it again: pdsearch export STUDY --force"
        raise StorageError(f"is damaged: {error!r}", where=str(result), hint=hint) from error
    if not (folder / STUDENT_FILE).exists():
        raise ConfigError(
            f"holds no trained student to compare with: its trial ({best['id']}) was {best['state']}",
            where=str(folder),
            hint="export a study whose trials came to their end",
        )
    if read_card(folder).key != best["key"]:
        raise StorageError(
            f"{STUDENT_FILE} and result.json are of different trials",
            where=str(folder),
            hint="export it again: pdsearch export STUDY --force",
        )
    return found


def reproduce(
    export: Export,
    observer: Observer,
    stop: Stop,
    *,
    storage: Path | None = None,
    seeds: int = 0,
    tolerance: float = 0.01,
    overrides: Sequence[str] = (),
) -> Reproduction:
    """Train an exported configuration again, its teacher included, and compare.

    Args:
        export: See `read_export`.
        observer: Receives what happens.
        stop: Handles the signals that end a run.
        storage: Folder to train in, kept, in which a stopped reproduction goes on; None means a temporary one.
        seeds: Number of further students with fresh seeds; 0, or at least 2.
        tolerance: Largest difference of accuracies that passes where machine or versions differ, in [0, 1].
        overrides: Texts `dotted.name=value`: data, weights and resources of this machine.

    Raises:
        ConfigError: The storage holds something else, or the configuration now describes another trial.
        PdsearchError: As `pdsearch run` raises them.
    """
    with _storage(storage) as place:
        train = _Trainer(export, observer, stop, place, tuple(overrides))
        new, same = train.again()
        accuracies = {
            name: (export.best[name], getattr(new, name))
            for name in _ACCURACIES
            if export.best.get(name) is not None and getattr(new, name) is not None
        }
        fresh = _fresh(export, train.student, seeds) if seeds else None
    return Reproduction(same, tuple(_differences(export, new.record)), accuracies, tolerance, fresh)


@contextmanager
def _storage(named: Path | None) -> Iterator[Path]:
    """Yield the folder to train in: one that holds nothing that another study made."""
    if named is None:
        with tempfile.TemporaryDirectory(prefix="pdsearch-reproduce-") as folder:
            yield Path(folder)
        return
    own = {"artifacts", "progress"}
    others = [path.name for path in named.iterdir() if path.name not in own] if named.is_dir() else []
    if any(not name.startswith(("reproduce-", ".")) for name in others) or (
        not others and named.is_dir() and any(named.iterdir())
    ):
        raise ConfigError(
            "holds other studies, whose teachers and students would be taken instead of trained",
            where=str(named),
            hint="name a new folder",
        )
    yield named.absolute()


@dataclass(frozen=True)
class _Trainer:
    """Trains students of an exported configuration, one study each, in a storage that they share."""

    export: Export
    observer: Observer
    stop: Stop
    storage: Path
    overrides: tuple[str, ...]

    def again(self) -> tuple[Row, bool]:
        """Train the exported student; return its results, and whether its weights are the exported ones."""
        self._must_be_the_exported(self._space(""))
        row = self._run("")
        trained = trained_student(row, open_store(self.storage / "artifacts"))
        assert trained is not None
        return row, _same_bits(trained[0], self.export.folder / STUDENT_FILE)

    def student(self, seed: int) -> Row:
        """Train a student with another seed and return its results."""
        return self._run(f"-seed{seed}", f"distill.seed={seed}", f"distill.view_seed={seed}")

    def _space(self, suffix: str, *seeds: str) -> Space:
        name = f"study=reproduce-{self.export.best['key'][:12]}{suffix}"
        fixed = (name, f"storage={self.storage}", "search.trials=1", "confirm=off")
        return load(self.export.config, overrides=(*self.overrides, *seeds, *fixed))

    def _must_be_the_exported(self, space: Space) -> None:
        if space.parameters:
            raise ConfigError(
                "is a space to search, not one exported trial",
                where=", ".join(parameter.name for parameter in space.parameters),
                hint="export it again: pdsearch export STUDY --force",
            )
        found = described(space)
        spec = found.complete(space.resolve(space.defaults()))
        if student_key(spec) != self.export.best["key"]:
            changes = _changes(self.export.best["spec"], encode(spec))
            raise ConfigError(
                "describes another trial than the exported one: " + "; ".join(changes),
                where=str(self.export.config),
                hint="give it the data, weights and code that it was trained with (card.md lists them)",
            )

    def _run(self, suffix: str, *seeds: str) -> Row:
        space = self._space(suffix, *seeds)
        choice = choose_ray(space, None, serial=True)
        study = drive(space, self.observer, self.stop, choice=choice, serial=True)
        (row,) = (one for one in read_study(study.folder).rows if one.kind == "search")
        if row.record.state != "complete":
            what = f"the trial {row.record.state}: {row.record.reason}"
            raise TrialError(what, hint="mend the cause and try again")
        return row


def _same_bits(weights: Mapping[str, Tensor], exported: Path) -> bool:
    found = load_file(exported)
    return found.keys() == weights.keys() and all(
        found[name].dtype == weights[name].dtype
        and found[name].shape == weights[name].shape
        and _bytes(found[name]).equal(_bytes(weights[name]))
        for name in found
    )


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


def _changes(was: Mapping[str, Json], now: Mapping[str, Json], path: str = "") -> Iterator[str]:
    """Yield what differs between two specifications, by dotted names; paths are no part of a trial."""
    for name in sorted({*was, *now}):
        old, new, here = was.get(name), now.get(name), f"{path}{name}"
        if here in ("data.root", "teacher.checkpoint") or old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes(old, new, f"{here}.")
        else:
            yield f"{here} was {old!r:.40}, is {new!r:.40}"


def _differences(export: Export, record: TrialRecord) -> Iterator[str]:
    """Yield what differs between where and with what the record and the new trial were trained."""
    if not export.versions:
        yield "versions were not exported"
    for name, version in record.versions.items():
        if export.versions and export.versions.get(name) != version:
            yield f"{name} {export.versions.get(name, 'not recorded') or 'absent'}, here {version or 'absent'}"
    for name in ("host", "device"):
        if export.best.get(name) != getattr(record, name):
            yield f"{name} {export.best.get(name)}, here {getattr(record, name)}"


def _fresh(export: Export, train: Callable[[int], Row], count: int) -> Fresh:
    single = {name: export.best[name] for name in _ACCURACIES[:2] if export.best.get(name) is not None}
    record, counted = (export.means, export.seeds) if export.means else (single, 1)
    metric = "test_accuracy" if "test_accuracy" in record else "val_accuracy"
    first = int(export.best["student_seed"]) + max(export.seeds, 1)
    seeds = tuple(range(first, first + count))
    values = tuple(float(getattr(train(seed), metric)) for seed in seeds)
    return prediction_interval(metric, seeds, values, record=float(record[metric]), record_seeds=counted)


def prediction_interval(
    metric: str, seeds: tuple[int, ...], values: tuple[float, ...], *, record: float, record_seeds: int
) -> Fresh:
    """Return fresh students with the interval in which the mean of as many further ones as the record has lies.

    It is the prediction interval of a mean of m values drawn as the n seen ones: t(n - 1) s sqrt(1 / n + 1 / m).
    """
    n = len(values)
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) * math.sqrt(1 / n + 1 / record_seeds)
    mean = fmean(values)
    low, high = max(0.0, mean - half - 1e-9), min(1.0, mean + half + 1e-9)
    return Fresh(metric, seeds, values, record, record_seeds, low, high)
