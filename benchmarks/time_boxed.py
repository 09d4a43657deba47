"""A long published experiment in a time box: one process, no Ray, resumed by the next call.

Every call of a command goes on where the last one ended: finished students stay, what was training goes on from its
checkpoint. The results so far are printed as JSON after every call, with what is still to do.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.hardware import hardware, versions
from pdsearch.analysis.ranked import Ranked
from pdsearch.analysis.ranking import rank_teachers
from pdsearch.analysis.statistics import Estimate
from pdsearch.analysis.study_table import Row, read_study
from pdsearch.artifacts import open_store
from pdsearch.cli.progress import Lines
from pdsearch.config import Space, load
from pdsearch.driver import run_serially
from pdsearch.pipeline.context import WorkerContext
from pdsearch.search.study import Study, open_as_driver
from pdsearch.training.device import pick_device

SPACES = Path(__file__).parents[1] / "search_spaces"


@dataclass(frozen=True)
class Experiment:
    """A published experiment.

    Args:
        name: Of the module that runs it.
        space: File name among the shipped spaces.
        published: Figures by what they are of, in per cent; empty where there are none to compare with.
        differences: What is not as published, one sentence each.
        tiny: Overrides that make a run of seconds whose figures mean nothing.
    """

    name: str
    space: str
    published: Mapping[str, float]
    differences: Sequence[str]
    tiny: Sequence[str] = ()


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all such commands have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data", help="folder of CIFAR-100: Parquet files, or the archive, downloaded if missing"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="of results and artifacts")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which this call ends; run it again")
    parser.add_argument("--seeds", type=int, default=3, help="students of each configuration")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of every schedule's epochs; 1 is as published"
    )
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--json", type=Path, help="write the results so far to this file as well")
    parser.add_argument(
        "--tiny", action="store_true", help="a check that it runs, on any machine, in seconds"
    )
    return parser


def run(experiment: Experiment, asked: argparse.Namespace) -> dict[str, Any]:
    """Run an experiment for some minutes; print and return what is known so far."""
    space = load(SPACES / experiment.space, _overrides(experiment, asked))
    torch.set_num_threads(max(1, torch.get_num_threads() if space.resources.gpu else space.resources.cpu))
    with Lines(sys.stderr) as lines, open_as_driver(space, lines) as study, _box(study, 60 * asked.minutes):
        run_serially(study.scheduler, _site(study, space))
        result = _result(experiment, space, study, asked)
        if study.scheduler.failure:
            raise study.scheduler.failure
    text = json.dumps(result, indent=1)
    print(text)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        asked.json.write_text(text + "\n")
    return result


def shortened(space: Space, share: float) -> list[str]:
    """Return the overrides that shorten every recipe of a space by one share, milestones in proportion."""
    if share == 1:
        return []
    found, fixed = [], dict(space.fixed)
    for recipe in ("teacher", "recover", "distill"):
        prefix = f"train.{recipe}"
        if f"{prefix}.epochs" not in fixed:
            continue
        epochs = max(1, round(fixed[f"{prefix}.epochs"] * share))
        milestones = sorted({max(1, round(m * share)) for m in fixed[f"{prefix}.milestones"]})
        found += [f"{prefix}.epochs={epochs}", f"{prefix}.milestones={[m for m in milestones if m < epochs]}"]
    return found


def _overrides(experiment: Experiment, asked: argparse.Namespace) -> list[str]:
    gpu = torch.cuda.is_available()
    found = [f"storage={asked.folder}", f"resources.gpu={1 if gpu else 0}", f"confirm.seeds={asked.seeds}"]
    found.append(f"precision={asked.precision}")
    if asked.tiny:
        return [*found, *experiment.tiny]
    if asked.data:
        folder = Path(asked.data).expanduser()
        parquet = (folder / "train.parquet").is_file()
        found += [f"data.source={'parquet' if parquet else 'cifar100'}", f"data.root={folder.absolute()}"]
    if asked.share != 1:
        short = shortened(load(SPACES / experiment.space), asked.share)
        name = load(SPACES / experiment.space).study
        found += [*short, f"study={name}-{asked.share:g}"]
    return found


def _site(study: Study, space: Space) -> WorkerContext:
    device = pick_device(space.resources.gpu)
    return WorkerContext(
        open_store(study.artifacts), study.progress, device=device, logs=study.folder / "trials"
    )


@contextmanager
def _box(study: Study, seconds: float) -> Iterator[None]:
    """Close what runs when the time is over, so that the next call goes on from its checkpoint."""
    timer = threading.Timer(seconds, study.scheduler.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _result(experiment: Experiment, space: Space, study: Study, asked: argparse.Namespace) -> dict[str, Any]:
    found = read_study(study.folder)
    rows = rank_teachers(found).rows
    device = {row.device for row in found.rows if row.device}
    return {
        "experiment": experiment.name,
        "command": f"python -m benchmarks.{experiment.name}",
        "complete": study.scheduler.idle(),
        "students": sum(row.kind == "confirm" for row in found.rows),
        "lines": [_line(row, found.rows) for row in rows],
        "published": dict(experiment.published),
        "differences": [*experiment.differences, *_shortening(asked)],
        "settings": {
            "seeds": asked.seeds,
            "share": asked.share,
            "tiny": asked.tiny,
            "device": sorted(device),
        },
        "precision": study.describe.precision,
        "data": {"source": dict(space.fixed)["data.source"], "fingerprint": study.describe.fingerprint},
        "hardware": hardware(),
        "versions": versions(),
    }


def _shortening(asked: argparse.Namespace) -> list[str]:
    found = [f"Every schedule has {asked.share:g} of its epochs."] if asked.share != 1 else []
    return [*found, *(["This was a tiny run: its figures mean nothing."] if asked.tiny else [])]


def _line(row: Ranked, rows: Sequence[Row]) -> dict[str, Any]:
    same = [
        r for r in rows if r.kind == "confirm" and r.setting == row.best.setting and r.state == "complete"
    ]
    return {
        "teacher": row.label,
        "loss": row.best.loss,
        "seeds": {str(r.student_seed): r.test_accuracy for r in same},
        "test": _estimate(row.test),
        "validation": _estimate(row.val),
        "teacher test": row.teacher_test,
        "gains": {question: _estimate(gain.estimate) for question, gain in row.gains_test.items() if gain},
    }


def _estimate(found: Estimate | None) -> dict[str, float | int | None] | None:
    if found is None:
        return None
    return {"n": found.n, "mean": found.mean, "low": found.low, "high": found.high}
