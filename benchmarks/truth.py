"""Whether the ranking's claims are true: thousands of simulated studies whose truth is known.

    python -m benchmarks.truth --json docs/results/truth.json    # some minutes on one core; goes on where it ended

Every setting is a kind of study (`truth_model.Setting`). Asked of each: how often 95 % intervals hold the truth, how
many studies make a false claim, how far the leader's gain is off, how often a real gain is marked; and the same of the
procedures that one would use instead. `rank_teachers` itself ranks some of the studies, and all of those with failed
students or one student seed, which are not ranked at once.
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmarks.hardware import hardware, versions
from benchmarks.truth_model import POINT, Judged, Setting, Studies, draw, judge, ranked
from pdsearch.analysis.crossed import Floats, holm
from pdsearch.analysis.ranked import Ranking
from pdsearch.analysis.statistics import CLAIM, Gain

CHUNK_BYTES = 400_000_000
CHECKED = 10
"""Studies of each setting that `rank_teachers` ranks as well."""

STEP = 100 / 269
"""One image of 269, in points."""


def _settings() -> Iterator[Setting]:
    null = Setting("equal")
    taught = replace(null, teachers=3, seeds=3, teacher_sd=0.6)
    for lines in (3, 6, 12):
        yield replace(null, name=f"equal, {lines} teachers", lines=lines)
    for seeds in (3, 10):
        yield replace(null, name=f"equal, {seeds} seeds", seeds=seeds)
    yield replace(null, name="equal, no better than alone", alone=0.0)
    yield replace(null, name="equal, one configuration for all", own=False, alone=0.0)
    yield replace(null, name="equal, one configuration, 12 teachers, 3 seeds", lines=12, seeds=3, own=False)
    for share in (0.0, 0.9):
        name = f"equal, 12 teachers, validation and test share {share:.0%}"
        yield replace(null, name=name, lines=12, val_test=share)
    for share in (0.0, 0.8):
        yield replace(null, name=f"equal, students of a seed share {share:.0%}", by_seed=share)
    unequal = replace(null, unequal=True, alone=0.0)
    yield replace(unequal, name="unequal spreads")
    yield replace(unequal, name="unequal spreads, 3 teachers, 3 seeds", lines=3, seeds=3)
    yield replace(unequal, name="unequal spreads, 12 teachers", lines=12)
    for sd in (0.3, 0.8):
        yield replace(null, name=f"ties, sd {sd}", sd=sd, step=STEP)
    yield replace(taught, name="3 teacher seeds")
    yield replace(taught, name="3 teacher seeds, unequal", seeds=5, unequal=True)
    yield replace(null, name="a tenth failed", missing=0.1)
    yield replace(taught, name="3 teacher seeds, a tenth failed", missing=0.1)
    yield replace(taught, name="3 teacher seeds, one student seed", seeds=1)
    yield replace(null, name="3 seeds, a third failed", seeds=3, missing=1 / 3)
    for images in (450, 2000, 10000):
        yield replace(null, name=f"equal, {images:,} images", images=images)
    few = replace(null, images=450)
    yield replace(few, name="equal, 450 images, 3 seeds", seeds=3)
    yield replace(few, name="equal, 450 images, 12 teachers", lines=12)
    yield replace(few, name="equal, 450 images, all suit the same", line_sd=0.0)
    yield replace(few, name="equal, 450 images, 3 teacher seeds", teachers=3, seeds=3)
    for better in (0.5, 1.0, 1.5):
        for seeds in (3, 5, 10):
            yield replace(null, name=f"one better by {better}, {seeds} seeds", better=better, seeds=seeds)
    yield replace(null, name="one of 12 better by 1", lines=12, better=1.0)
    yield replace(null, name="one better by 1, one configuration for all", own=False, better=1.0)
    yield replace(taught, name="one better by 1, 3 teacher seeds", teacher_sd=0.4, better=1.0)
    for images in (2000, 10000):
        yield replace(null, name=f"one better by 1, {images:,} images", images=images, better=1.0)


SETTINGS = tuple(_settings())


def measure(setting: Setting, studies: int, seed: int) -> dict[str, Any]:
    """Return what is asked of a setting; every figure is a share of studies or of their lines, or in points."""
    size = 8 * setting.groups * setting.teachers * setting.seeds * max(1, setting.images)
    chunk = max(1, min(studies, CHUNK_BYTES // (5 * size)))
    random = np.random.default_rng(seed)
    found: list[dict[str, Any]] = []
    checked, began = 0, time.monotonic()
    while (left := studies - sum(part["studies"] for part in found)) > 0:
        drawn = draw(setting, min(chunk, left), random)
        if _irregular(setting):
            judged = _one_by_one(setting, drawn)
        else:
            judged = judge(setting, drawn)
            for number in range(min(CHECKED - checked, len(drawn.val))):
                check(setting, judged, ranked(setting, drawn, number), number)
                checked += 1
        found.append(_asked(setting, drawn.truth, judged))
    sums = {name: np.nansum([part[name] for part in found], axis=0) for name in found[0]}
    return {
        "studies": int(sums.pop("studies")),
        "checked": studies if _irregular(setting) else checked,
        "seconds": round(time.monotonic() - began, 1),
        **{name: (float(value[0] / value[1]) if value[1] else None) for name, value in sums.items()},
    }


def _irregular(setting: Setting) -> bool:
    """Return whether its studies have too many shapes, or too few seeds, to be ranked at once."""
    return setting.missing > 0 or setting.seeds == 1


def _one_by_one(setting: Setting, studies: Studies) -> Judged:
    """Return what `rank_teachers` says of each study."""
    each = [_as_judged(setting, ranked(setting, studies, number)) for number in range(len(studies.val))]

    def joined(name: str, part: int | None = None) -> Any:
        found = [getattr(one, name) for one in each]
        return np.array([one if part is None else one[part] for one in found])

    pairs: dict[str, Any] = {n: (joined(n, 0), joined(n, 1)) for n in ("means", "corrected")}
    return Judged(
        **pairs, **{name: joined(name) for name in ("gains", "halves", "plain", "adjusted", "leader")}
    )


def _as_judged(setting: Setting, ranking: Ranking) -> Judged:
    """Return a ranking in the order of lines; NaN for what it lacks."""
    lines = setting.lines
    rows = {row.best.prune_method or row.role: row for row in ranking.rows}
    pruned = [rows.get(f"m{line}") for line in range(lines)]
    asked = [(row, name) for name in ("unpruned_same", "unpruned_best", "alone") for row in pruned]
    asked.append((rows.get("unpruned"), "alone"))
    gains = [row.gains_test.get(question) if row else None for row, question in asked]
    tests = [row.test if row else None for row in pruned]
    first = next(row for row in ranking.rows if row.rank == 1)
    corrected = ranking.leader.gain if ranking.leader else None
    return Judged(
        means=(_array([t and t.mean for t in tests]), _array([t and t.half_width for t in tests])),
        gains=_array([gain and gain.estimate.mean for gain in gains]),
        halves=_array([_half(gain) for gain in gains]),
        plain=_array([None for _ in gains]),
        adjusted=_array([gain and gain.p_holm for gain in gains]),
        leader=np.array(int(first.best.prune_method[1:]) if first.best.prune_method else lines),
        corrected=(_array(corrected.estimate.mean if corrected else 0.0), _array(_half(corrected))),
    )


def _half(gain: Gain | None) -> float | None:
    return None if gain is None else gain.estimate.half_width


def _array(values: Any) -> Floats:
    return np.array(values, dtype=np.float64)


def check(setting: Setting, judged: Judged, ranking: Ranking, number: int) -> None:
    """Raise unless the ranking of one study is what was computed for all at once.

    Where accuracies tie, leaders may differ: a ranking settles ties by what teachers are called.
    """
    one = _as_judged(setting, ranking)
    for name in ("gains", "halves", "adjusted", *([] if setting.step or setting.images else ["leader"])):
        ours, theirs = getattr(one, name), getattr(judged, name)[number]
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12, err_msg=name)
    if not (setting.step or setting.images) and judged.leader[number] < setting.lines:
        for ours, theirs in zip(one.corrected, judged.corrected, strict=True):
            np.testing.assert_allclose(ours, theirs[number], rtol=1e-6, atol=1e-12, err_msg="corrected")


def _asked(setting: Setting, truth: Floats, judged: Judged) -> dict[str, Any]:
    """Return sums and numbers of everything that is asked, so that chunks can be added."""
    lines, base = setting.lines, truth[-2]
    true = np.concatenate(
        [truth[:lines] - base, truth[:lines] - base, truth[:lines] - truth[-1], [base - truth[-1]]]
    )
    false = np.abs(true) < 1e-9
    with np.errstate(invalid="ignore"):
        marked, plain = judged.adjusted < CLAIM, _by_column(judged.plain, lines) < CLAIM
        holds = np.where(np.isnan(judged.halves), np.nan, np.abs(judged.gains - true) <= judged.halves)
        mean, half = judged.means
        means = np.where(np.isnan(half), np.nan, np.abs(mean - truth[:lines]) <= half)
    leads = judged.leader < lines
    lead = np.minimum(judged.leader, lines - 1)
    own = np.take_along_axis(judged.gains[:, :lines], lead[:, None], axis=1)[:, 0]
    star = np.take_along_axis(marked[:, :lines], lead[:, None], axis=1)[:, 0]
    corrected, width = judged.corrected
    off = corrected - true[lead]
    with np.errstate(invalid="ignore"):
        inside = np.where(np.isnan(width), np.nan, np.abs(off) <= width)
        gain = leads & star & (corrected - width > 0)
    untrue = np.array([truth[one] - base < 1e-9 for one in lead])
    found = {
        "studies": len(leads),
        "covers means": _share(means),
        "covers gains": _share(holds[:, : 2 * lines]),
        "covers gains over alone": _share(holds[:, 2 * lines :]),
        "false claims": _share((marked & false).any(axis=1)),
        "false claims, plain t by column": _share(
            (plain & false).any(axis=1)[~np.isnan(judged.plain).all(axis=1)]
        ),
        "false verdict": _share(gain & untrue),
        "leader off": _share(off[leads] / POINT),
        "leader off, uncorrected": _share((own - true[lead])[leads] / POINT),
        "covers the leader's gain": _share(inside[leads]),
    }
    if setting.better:
        found |= {
            "power": _share(marked[:, 1]),
            "power, plain t by column": _share(plain[:, 1]),
            "power, spread known": _share(_oracle(judged)),
            "power of the verdict": _share(gain & (lead == 1)),
        }
    return found


def _share(values: Any) -> np.ndarray[Any, Any]:
    known = np.asarray(values, dtype=np.float64)
    return np.array([np.nansum(known), np.sum(~np.isnan(known))])


def _by_column(plain: Floats, lines: int) -> Floats:
    """Return p-values adjusted for each column alone, as earlier versions did."""
    ends = (0, lines, 2 * lines, plain.shape[1])
    return np.concatenate([holm(plain[:, a:b]) for a, b in pairwise(ends)], axis=1)


def _oracle(judged: Judged) -> Any:
    """Return whether one who knows the spread of every gain marks the better teacher, with the same correction."""
    variance = np.var(judged.gains, axis=0)
    p = 2 * ndtr(-np.abs(judged.gains) / np.sqrt(variance))
    return holm(p)[:, 1] < CLAIM


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the settings that the file lacks, and write it and the tables beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000, help="studies of each setting")
    parser.add_argument("--seed", type=int, default=0, help="of the studies")
    parser.add_argument("--only", default="", help="settings whose names hold this")
    parser.add_argument(
        "--json", type=Path, help="file of the results; settings that it has are not measured again"
    )
    chosen = parser.parse_args(arguments)
    known = _read(chosen.json)
    for setting in SETTINGS:
        held = known.get(setting.name, {})
        whole = held.get("studies", 0) >= chosen.studies and held["setting"] == dataclasses.asdict(setting)
        if whole or chosen.only not in setting.name:
            continue
        figures = measure(setting, chosen.studies, chosen.seed)
        known[setting.name] = {"setting": dataclasses.asdict(setting), "seed": chosen.seed, **figures}
        print(setting.name, json.dumps(figures), flush=True)
        _write(chosen.json, known)
    _write(chosen.json, known)
    print(tables(known))


def _read(path: Path | None) -> dict[str, Any]:
    if path is None or not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())["settings"]
    return found


def _write(path: Path | None, known: dict[str, Any]) -> None:
    if path is None:
        return
    held = {setting.name: known[setting.name] for setting in SETTINGS if setting.name in known}
    whole = {
        "command": "python -m benchmarks.truth",
        "hardware": hardware(),
        "versions": versions(),
        "settings": held,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(whole, indent=1) + "\n")
    os.replace(draft, path)
    path.with_suffix(".md").write_text(_page(whole))


CALIBRATION = (
    "covers means",
    "covers gains",
    "covers gains over alone",
    "covers the leader's gain",
    "false claims",
    "false claims, plain t by column",
    "false verdict",
    "leader off",
    "leader off, uncorrected",
)
POWER = ("power", "power of the verdict", "power, plain t by column", "power, spread known")


def tables(known: dict[str, Any]) -> str:
    """Return the tables in Markdown."""
    powered = {name: found for name, found in known.items() if "power" in found}
    return "\n".join([_table(known, CALIBRATION), "", _table(powered, POWER)])


def _table(known: dict[str, Any], columns: Sequence[str]) -> str:
    lines = ["| setting | n | " + " | ".join(columns) + " |", "| --- | ---: |" + " ---: |" * len(columns)]
    for name, found in known.items():
        cells = (_cell(column, found.get(column)) for column in columns)
        lines.append(f"| {name} | {found['studies']:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" if column.startswith("leader off") else f"{100 * value:.1f}"


def _page(whole: dict[str, Any]) -> str:
    text = Path(__file__).with_name("truth_page.md").read_text(encoding="utf-8")
    machine = ", ".join(
        f"{name} {value}" for name, value in {**whole["hardware"], **whole["versions"]}.items()
    )
    return text.replace("TABLES", tables(whole["settings"])).replace("MACHINE", machine)


if __name__ == "__main__":
    main()
