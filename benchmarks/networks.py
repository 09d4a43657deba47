"""A matrix of what works with networks that others publish: pruning, students shaped by them, features, exports.

Every cell is a study as a user would run it, one trial of one epoch on eight made-up photographs, in a process with
bounds of time and memory. A cell works, or says why it is refused, before anything was trained; all else is a fault.
The pruned network is compared with the masked one besides. Rows of earlier runs stay, with what they were measured by.
"""

import argparse
import json
import os
import resource
import signal
import string
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.hardware import hardware, versions

NETWORKS = {
    "torchvision/resnet18": 64,
    "torchvision/resnext50_32x4d": 64,
    "torchvision/vgg11_bn": 64,
    "torchvision/densenet121": 64,
    "torchvision/mobilenet_v2": 64,
    "torchvision/mobilenet_v3_small": 64,
    "torchvision/efficientnet_b0": 64,
    "torchvision/efficientnet_v2_s": 64,
    "torchvision/regnet_y_400mf": 64,
    "torchvision/mnasnet0_5": 64,
    "torchvision/shufflenet_v2_x0_5": 64,
    "torchvision/convnext_tiny": 64,
    "torchvision/vit_b_16": 64,
    "torchvision/swin_t": 64,
    "torchvision/maxvit_t": 224,
    "timm/resnet18": 64,
    "timm/vgg11_bn": 64,
    "timm/densenet121": 64,
    "timm/mobilenetv2_050": 64,
    "timm/mobilenetv3_small_050": 64,
    "timm/mobilenetv4_conv_small_035": 64,
    "timm/efficientnet_b0": 64,
    "timm/regnety_002": 64,
    "timm/mnasnet_small": 64,
    "timm/convnext_atto": 64,
    "timm/convnextv2_atto": 64,
    "timm/repvgg_a0": 64,
    "timm/mixer_s32_224": 64,
    "timm/levit_128s": 224,
    "timm/vit_tiny_patch16_224": 64,
    "timm/deit_tiny_patch16_224": 64,
    "timm/deit_tiny_distilled_patch16_224": 64,
    "timm/swin_tiny_patch4_window7_224": 224,
    "timm/maxvit_rmlp_pico_rw_256": 256,
}
"""Smallest members of the families that people use, with the height and width of their images in pixels."""

SMALL = "convnet_s"
COLUMNS: dict[str, dict[str, Any]] = {
    "weights": {"prune": {"method": "magnitude", "ratio": 0.5}, "student": {"model": SMALL}},
    "channels": {"prune": {"method": "filter_l2", "ratio": 0.3}, "student": {"model": SMALL}},
    "from_teacher": {
        "prune": {"method": "filter_l2", "ratio": 0.3},
        "student": {"model": "from_teacher"},
    },
    "features": {"distill": {"loss": "attention"}, "student": {"model": SMALL}},
    "export": {"teacher": {"model": SMALL}},
}
"""What each column's study sets; the network is the teacher, and where another one is named the student."""

SECONDS, GIGABYTES = 1200, 10
"""Bounds of a row: seconds of computing and memory; a cell that breaks one ends, and those after it begin anew."""
WAITING = 5
"""So many times the seconds of computing may pass before a command is given up, on a machine that does other things."""

PAGE, COMMAND = Path("docs/results/networks.md"), "python -m benchmarks.networks"


def photographs(size: int) -> tuple[Any, ...]:
    """Return a data set of noise: 8 training and 4 test images of a size, of two classes."""
    random = np.random.default_rng(0)

    def images(count: int) -> NDArray[np.uint8]:
        return random.integers(0, 256, (count, 3, size, size), dtype=np.uint8)

    return images(10), np.arange(10) % 2, images(4), np.arange(4) % 2, ("one", "two")


def main() -> None:
    """Measure the rows that the table lacks, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.networks")
    parser.add_argument(
        "names", nargs="*", help="rows to measure, again if they are there; all that lack if none"
    )
    parser.add_argument("--workers", type=int, default=2, help="rows at once, one thread each")
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="the table; its cells stand in a JSON file beside it"
    )
    parser.add_argument("--cells", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    for column in given.cells or ():
        cell = _cell(given.names[0], column, given.folder)
        print(json.dumps({"column": column, **cell}), flush=True)
    if given.cells:
        return
    file = given.page.with_suffix(".json")
    lacking = given.names or [name for name in NETWORKS if name not in _rows(file)]
    with ThreadPoolExecutor(given.workers) as pool:
        begun = {pool.submit(_row, name): name for name in lacking}
        for done in as_completed(begun):
            name, cells = begun[done], done.result()
            kept = {**_rows(file), name: {"cells": cells, "measured": _measured()}}
            rows = {name: kept[name] for name in NETWORKS if name in kept}
            file.write_text(json.dumps({"command": COMMAND, "rows": rows}, indent=1) + "\n")
            given.page.write_text(_page(rows))
            print(name, {column: cell["state"] for column, cell in cells.items()}, flush=True)


def _rows(file: Path) -> dict[str, Any]:
    """Return the rows of a file, whoever measured them; none where there is no file."""
    found: dict[str, Any] = json.loads(file.read_text())["rows"] if file.exists() else {}
    return found


def _measured() -> dict[str, Any]:
    """Return what a row depends on, for the page."""
    import timm
    import torchvision

    packages = {**versions(), "torchvision": torchvision.__version__, "timm": timm.__version__}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": hardware()["cpu"],
        "bounds": f"{SECONDS} s of computing and {GIGABYTES} GB",
        "versions": ", ".join(f"{name} {version}" for name, version in packages.items()),
    }


def _row(name: str) -> dict[str, dict[str, Any]]:
    """Return the cells of a network. They share a process and their artifacts, until a cell breaks a bound."""
    row: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        while left := [column for column in COLUMNS if column not in row]:
            out, why = _bounded(["-m", "benchmarks.networks", name, "--cells", *left, "--folder", folder])
            found = [json.loads(line) for line in out.splitlines() if line.startswith('{"column"')]
            row |= {cell.pop("column"): cell for cell in found}
            if len(found) < len(left):
                row[left[len(found)]] = {"state": "fault", "reason": why}
    return {column: row[column] for column in COLUMNS}


def _bounded(words: list[str]) -> tuple[str, str]:
    """Run Python within the bounds; return what it printed, and why it ended."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (GIGABYTES << 30, GIGABYTES << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))

    try:
        done = subprocess.run(
            [sys.executable, *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WAITING * SECONDS,
            preexec_fn=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        out = error.stdout or b""
        return out.decode() if isinstance(out, bytes) else out, f"not done within {WAITING * SECONDS} s"
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return done.stdout, f"not done within {SECONDS} s of computing"
    return done.stdout, (done.stderr.strip().splitlines() or ["nothing said"])[-1][:400]


def _cell(name: str, column: str, folder: Path) -> dict[str, Any]:
    """Run a column's study; say whether it worked, or was refused before anything was trained."""
    import pdsearch

    study = folder / column
    try:
        trial = pdsearch.run(_space(name, column, folder), serial=True).table().to_pylist()[0]
        if trial["state"] != "complete":
            return {"state": "fault", "reason": f"late: {trial['reason']}"}
        return {"state": "works", **_beyond(name, column, study)}
    except pdsearch.PdsearchError as error:
        late = (study / "study.json").exists()  # It is opened after all checks.
        return {"state": "fault" if late else "refused", "reason": f"{error.what}; {error.hint}"}
    except Exception as error:  # What a user would see as a traceback.
        return {"state": "fault", "reason": f"{type(error).__name__}: {str(error)[:300]}"}


def _space(name: str, column: str, folder: Path) -> Path:
    """Write the space of a cell's study and return its file."""
    recipe = {"epochs": 1, "lr": 1e-3, "batch_size": 4}
    space: dict[str, Any] = {
        "study": column,
        "data": {
            "source": "callable",
            "options": {"function": "benchmarks.networks:photographs", "size": NETWORKS[name]},
            "val_fraction": 0.2,
        },
        "teacher": {"model": name},
        "student": {"model": name},
        "train": {"teacher": recipe, "recover": recipe, "distill": recipe},
        "search": {"trials": 1},
        "confirm": "off",
        "precision": "fp32",
        "storage": str(folder),
        **COLUMNS[column],
    }
    if "prune" in space:
        space["prune"] = {**space["prune"], "schedule": "one_shot"}
    file = folder / f"{column}.yaml"
    file.write_text(json.dumps(space))  # JSON is YAML.
    return file


def _beyond(name: str, column: str, study: Path) -> dict[str, Any]:
    """Return what is checked of a cell besides its study."""
    if column == "channels":
        return _compared(name, NETWORKS[name])
    if column in ("from_teacher", "export"):
        return _exported(study, onnx=column == "export")
    return {}


def _exported(study: Path, *, onnx: bool) -> dict[str, Any]:
    """Export a study's student and load it; where it cannot be written as ONNX, say why and export it without."""
    import torch

    import pdsearch

    note: dict[str, Any] = {}
    try:
        folder = pdsearch.export(study, study / "out", onnx=onnx, force=True)[0].folder
    except pdsearch.PdsearchError as error:
        if not onnx:
            raise
        note = {"onnx": f"{error.what}; {error.hint}"}
        folder = pdsearch.export(study, study / "out", force=True)[0].folder
    card = pdsearch.read_card(folder)
    images = torch.randint(0, 256, (2, *card.inputs.shape), dtype=torch.uint8)
    with torch.no_grad():
        found = pdsearch.load_student(folder)(pdsearch.load_preprocess(folder)(images))
    if found.shape != (2, 2) or not bool(found.isfinite().all()):
        return {"state": "fault", "reason": "the loaded student gives no finite logits"}
    return note


def _compared(name: str, size: int) -> dict[str, Any]:
    """Remove the channels that the study removes, and compare with the network whose channels are zero instead."""
    import torch

    from pdsearch.models import count_params, with_plain_weights
    from pdsearch.models.registry import build
    from pdsearch.pruning import find_channels, kept_channels, prune_once, shrink
    from pdsearch.pruning.channels.finding import difference
    from pdsearch.pruning.registry import methods
    from pdsearch.registry import NoParams

    model = with_plain_weights(build(name, num_classes=2, input_shape=(3, size, size), seed=0)).eval()
    image = torch.zeros(1, 3, size, size)
    channels = find_channels(model, image)
    mask = prune_once(
        model,
        method=methods.get("filter_l2"),
        params=NoParams(),
        batches=[(image, torch.zeros(1, dtype=torch.int64))],
        generator=torch.Generator(),
        sparsity=0.3,
        channels=channels,
    )
    kept = kept_channels(mask, channels.ties)
    wrong = difference(model, image, channels, kept)
    before = count_params(model)
    shrink(model, channels, kept=kept)
    if wrong:
        return {"state": "fault", "reason": f"the cut network is not the masked one: {wrong}"}
    return {
        "groups": len(channels.ties),
        "whole": len(channels.whole),
        "weights": [before, count_params(model)],
    }


LETTERS = string.ascii_lowercase

LEGEND = (
    "- *weights*: magnitude pruning at 0.5, recovery of an epoch, a small student distilled.",
    "- *channels*: filter_l2 at 0.3, likewise. *Groups*: sets of channels that go together; in double precision"
    " the network without the channels equals the one with zeros in their place.",
    "- *from_teacher*: the student is the shape that is left, with fresh weights; exported and loaded.",
    "- *features*: distillation with the loss `attention`, the stages that the network shows by itself.",
    "- *export*: the network as student, exported (also as ONNX, compared with PyTorch) and loaded.",
)


def _page(rows: dict[str, Any]) -> str:
    cells = [cell for row in rows.values() for cell in row["cells"].values()]
    counts = {state: sum(cell["state"] == state for cell in cells) for state in ("works", "refused", "fault")}
    runs = list({json.dumps(row["measured"]): row["measured"] for row in rows.values()}.values())
    notes: list[str] = []

    def shown(cell: dict[str, Any]) -> str:
        text: str = cell["state"]
        if "weights" in cell:
            before, after = cell["weights"]
            text += f", {after / before:.0%} of weights left, {cell['groups']} groups"
            whole = cell["whole"]
            text += f", {whole} {'layer stays' if whole == 1 else 'layers stay'} whole" if whole else ""
        if "onnx" in cell:
            text += ", ONNX refused"
        reason = cell.get("reason") or cell.get("onnx")
        if reason:
            notes.append(reason)
            text += f" ({len(notes)})"
        return text

    lines = [
        f"| {name} | {NETWORKS[name]} | {' | '.join(shown(row['cells'][column]) for column in COLUMNS)} |"
        f" {LETTERS[runs.index(row['measured'])]} |"
        for name, row in rows.items()
    ]
    lacking = [name for name in NETWORKS if name not in rows]
    return "\n".join(
        (
            "# Networks of torchvision and timm",
            "",
            str(__doc__).split("\n\n")[1].replace("\n", " ").strip(),
            "",
            f"Of {len(cells)} cells {counts['works']} work, {counts['refused']} are refused in time,"
            f" {counts['fault']} are faults. `{COMMAND}`, one thread a cell, one run each (n = 1), seed 0,"
            " weights drawn.",
            "",
            f"| network | pixels | {' | '.join(COLUMNS)} | run |",
            f"|---|---|{'---|' * len(COLUMNS)}---|",
            *lines,
            "",
            *([f"Not measured yet: {', '.join(lacking)}.", ""] if lacking else []),
            *LEGEND,
            *(_run(letter, run) for letter, run in zip(LETTERS, runs, strict=False)),
            "",
            *(f"{number}. {note}" for number, note in enumerate(notes, start=1)),
            *([""] if notes else []),
        )
    )


def _run(letter: str, run: dict[str, Any]) -> str:
    note = f"; {run['note']}" if "note" in run else ""
    return f"- *run {letter}*: {run['date']}, {run['cpu']}, at most {run['bounds']} for a row; {run['versions']}{note}."


if __name__ == "__main__":
    main()
