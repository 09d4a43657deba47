"""Made-up studies of every kind that a report must show well; the same records at every call."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pdsearch.io.record_files import write_once
from tests.analysis.synthetic_studies import confirmed, record

Made = dict[str, Any]

_SPACE: Made = {
    "data": {"source": "digits", "val_fraction": 0.2, "split_seed": 0},
    "teacher": {"model": "vgg19_bn", "seed": 0},
    "student": {"model": "vgg11_bn"},
    "train": {
        name: {"epochs": 20, "lr": 0.1, "milestones": [10]} for name in ("teacher", "recover", "distill")
    },
    "space": {
        "prune.method": {"choices": ["none", "magnitude", "filter_l1", "random"]},
        "prune.ratio": {
            "choices": [0.36, 0.59, 0.79],
            "when": {"prune.method": ["magnitude", "filter_l1", "random"]},
        },
        "distill.temperature": {"low": 1.0, "high": 20.0, "log": True},
        "distill.alpha": {"low": 0.1, "high": 1.0},
        "train.distill.lr": {"low": 0.001, "high": 1.0, "log": True},
    },
    "objectives": [{"metric": "student.val_accuracy", "goal": "maximize"}],
    "constraints": [],
    "search": {"sampler": "tpe", "seed": 0},
}
_RATIOS = {"magnitude": (0.36, 0.59, 0.79), "filter_l1": (0.36, 0.59), "random": (0.59,)}


def _artifacts(number: int, ratio: float | None) -> list[Made]:
    stages = (
        ("teacher", "b", 600.0),
        ("prune", str(ratio or 0)[-1], 240.0 if ratio else 0.0),
        ("outputs", "c", 4.0),
    )
    return [
        {"stage": stage, "key": (key * 64)[:64], "hit": number > 8, "seconds": seconds}
        for stage, key, seconds in stages
        if seconds
    ] + [{"stage": "student", "key": f"{number:064x}", "hit": False, "seconds": 90.0}]


def _trial(draw: random.Random, number: int, *, gain: float, stop: float, fail: float) -> Made:
    method = draw.choice([None, *_RATIOS])
    ratio = draw.choice(_RATIOS[method]) if method else None
    temperature, rate = math.exp(draw.uniform(0, 3)), 10 ** draw.uniform(-3, 0)
    best = (
        0.72
        + (gain if method == "magnitude" else -0.01)
        - 0.015 * abs(math.log10(rate) + 1.2)
        + draw.gauss(0, 0.006)
    )
    stopped, failed = draw.random() < stop, draw.random() < fail
    epochs = 5 if stopped else 20
    curve = [best * (1 - math.exp(-(epoch + 1) / 4)) + draw.gauss(0, 0.004) for epoch in range(epochs)]
    state = "failed" if failed else "stopped" if stopped else "complete"
    made = record(
        method,
        round(curve[-1], 4),
        kind="search",
        number=number,
        temperature=temperature,
        epochs=epochs,
        state=state,
    )
    made["params"] = {
        "prune.method": method or "none",
        **({"prune.ratio": ratio} if method else {}),
        "distill.temperature": temperature,
        "distill.alpha": draw.uniform(0.1, 1),
        "train.distill.lr": rate,
    }
    made["reports"] = [
        {"epoch": place + 1, "epochs": 20, "val_accuracy": round(max(0.0, value), 4), "loss": 2 / (place + 1)}
        for place, value in enumerate(curve)
    ]
    if made["teacher"] and ratio:
        # The one ratio of `synthetic_studies` is that of the confirmed teachers.
        config = made["teacher"]["config"] if ratio == 0.59 else f"{method}-{ratio}".ljust(64, "0")
        made["teacher"] |= {"config": config, "ratio": ratio, "sparsity": ratio}
        made["teacher"]["val_accuracy"] = 0.8 - 0.05 * ratio
    made["artifacts"] = _artifacts(number, ratio)
    if failed:
        reason = draw.choice(
            ["the loss is not a finite number in epoch 3", "CUDA out of memory: 2.10 GiB asked for"]
        )
        made |= {"reason": reason, "values": {}, "reports": made["reports"][:2]}
    return made


def _study(
    *, trials: int = 60, gain: float = 0.012, alone: float = -0.02, stop: float = 0.3, fail: float = 0.0
) -> Iterator[Made]:
    draw = random.Random(0)
    yield from (_trial(draw, number, gain=gain, stop=stop, fail=fail) for number in range(trials))
    luck = [draw.gauss(0, 0.004) for _ in range(5)]

    def students(mean: float) -> list[float]:
        return [round(mean + shared + draw.gauss(0, 0.002), 4) for shared in luck]

    for method, mean in (
        ("magnitude", 0.72 + gain),
        (None, 0.72),
        ("filter_l1", 0.715),
        ("alone", 0.72 + alone),
    ):
        yield from confirmed(method, students(mean), test=-0.008)


def _two_objectives() -> Iterator[Made]:
    draw = random.Random(1)
    for made in _study():
        if made["kind"] == "search" and made["state"] == "complete":
            size = draw.choice([0.3e6, 0.9e6, 2.5e6, 9e6])
            accuracy = made["values"]["student.val_accuracy"] + 0.01 * math.log10(size / 1e6)
            made["values"] |= {"student.params": int(size), "student.val_accuracy": round(accuracy, 4)}
        yield made


KINDS: Mapping[str, Callable[[], Iterator[Made]]] = {
    "gain": _study,
    "nothing_better": lambda: _study(gain=0.0),
    "alone_is_best": lambda: _study(gain=0.002, alone=0.012),
    "thousand_trials": lambda: _study(trials=1000),
    "failures": lambda: _study(stop=0.6, fail=0.3),
    "two_objectives": _two_objectives,
    "one_trial": lambda: iter([_trial(random.Random(2), 0, gain=0.0, stop=0.0, fail=0.0)]),
}
"""Name of a study -> its records."""


def write(kind: str, folder: Path) -> None:
    """Write the folder of a made-up study.

    Args:
        kind: One of `KINDS`.
        folder: Where it goes; it must not exist.
    """
    objectives = [*_SPACE["objectives"]]
    if kind == "two_objectives":
        objectives.append({"metric": "student.params", "goal": "minimize"})
    about: Made = {
        "format": 2,
        "study": kind,
        "space": {**_SPACE, "objectives": objectives},
        "precision": "fp32",
        "data": {"fingerprint": "f" * 64},
        "versions": {"pdsearch": "0.1.0", "python": "3.11.7", "torch": "2.15.0"},
        "created_at": "2026-01-01T00:00:00.000+00:00",
    }
    write_once(folder / "study.json", about)
    for made in KINDS[kind]():
        write_once(folder / "trials" / f"{made['id']}.finished.json", made)
