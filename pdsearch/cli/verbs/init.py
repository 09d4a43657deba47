"""`pdsearch init`: look at a data set, then write a space file for it and a smoke test of a minute beside it."""

import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from pdsearch.cli.console import about, print_error, print_lines, print_note
from pdsearch.cli.first_space import BUDGETS, SMOKE, Budget, Found, inspect_data, starting_networks, written
from pdsearch.errors import ConfigError, PdsearchError
from pdsearch.io.durable import from_home, write_whole

if TYPE_CHECKING:
    from pdsearch.config import Space
    from pdsearch.search.planning.calibrate import Rates

SMOKE_S = 35.0
"""Seconds of training in the smoke test."""


def init(
    data: Annotated[
        str | None,
        typer.Option(help="A folder of images or Parquet, a published set, package.module:function."),
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="The large network; proposed if not given.")] = None,
    student: Annotated[str | None, typer.Option(help="The small network; proposed if not given.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or gpu; a GPU where there is one.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.01, help="How long the search may take; 1 if not given.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(min=4, help="Resize images to this many pixels.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; named after the data if not given.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take what is proposed.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Look at a data set and write a space file for it, and a smoke test of a minute beside it. Nothing is trained."""
    asks = sys.stdin.isatty() and not yes
    expected = _device_name(device) if device else _device()
    seen = cache(lambda name, on: inspect_data(name, image_size, gpu=on == "gpu"))
    data = data or _answer(
        "data (a folder of images, a Parquet file, the name of a set)",
        None,
        lambda given: seen(given, expected),
        asks,
        "--data",
    )
    seen(data, expected)
    chosen = device or _answer("train on cpu or gpu", expected, _device_name, asks, "--device")
    gpu, found = _is_gpu(chosen), seen(data, chosen)
    print_lines(_shown(found))
    proposed = starting_networks(found.shape.inputs, gpu=gpu)
    fits = partial(_check_network, found)
    teacher = teacher or _answer("teacher", proposed[0], fits, asks, "--teacher")
    student = student or _answer("student", proposed[1], fits, asks, "--student")
    hours = hours or float(_answer("hours for the whole search", "1", _hours, asks, "--hours"))
    out = out or Path(f"{_study_name(data)}.yaml")
    draft = _Draft(found, out, teacher, student, gpu)
    _free([draft.path, draft.smoke_path], force=force, asks=asks)
    draft.write(hours * 3600)


def _answer(
    question: str, default: str | None, check: Callable[[str], object], asks: bool, option: str
) -> str:
    """Return an answer that passes a check, asked on a terminal; the default where nobody is asked.

    Raises:
        ConfigError: There is no default, and nobody to ask.
    """
    if not asks:
        if default is None:
            raise ConfigError(f"what is the {question}?", where=option, hint=f"pdsearch init {option} ...")
        return default
    while True:
        given: str = typer.prompt(question, default=default, err=True).strip()
        try:
            check(given)
            return given
        except PdsearchError as error:
            print_error(error)


def _check_network(found: Found, name: str) -> None:
    from pdsearch.models import build

    if name != "from_teacher":
        build(name, num_classes=found.shape.classes, input_shape=found.shape.inputs.shape, seed=0)


def _device() -> str:
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def _device_name(given: str) -> str:
    if given not in ("cpu", "gpu"):
        raise ConfigError(f"unknown device {given!r}", where="--device", hint="known: cpu, gpu")
    return given


def _is_gpu(given: str) -> bool:
    if _device_name(given) == "gpu" and _device() == "cpu":
        print_note("note: torch sees no GPU here; times are measured on the CPU")
    return given == "gpu"


def _hours(given: str) -> float:
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e5:
        raise ConfigError(f"{given!r} is no number of hours", where="--hours", hint="e.g. 0.5")
    return found


def _study_name(data: str) -> str:
    last = data.partition(":")[0].rstrip("/").rpartition("/")[2].removesuffix(".parquet")
    name = re.sub(
        r"[^A-Za-z0-9._-]+", "-", from_home(data).resolve().name if last in ("", ".", "..") else last
    )
    return name.strip("-._")[:56] or "study"


def _shown(found: Found) -> list[str]:
    shape, inputs = found.shape, found.shape.inputs
    cut = "" if found.has_test else ", the test images cut off (test_fraction: 0.2)"
    kind = ("grey images" if inputs.channels == 1 else "colour images") if inputs.is_image else "arrays"
    count = f"{shape.train:,} + {shape.test:,} {kind} in {shape.classes} classes"
    size = "x".join(map(str, inputs.shape[1:] if inputs.is_image else inputs.shape))
    size += " pixels" if inputs.is_image else ""
    resized = (
        ", resized and cropped (--image-size changes it)" if "image_size" in dict(found.data.options) else ""
    )
    return [
        f"{found.data.source}: {count}, {size}{resized}{cut}",
        *(f"note: {text}" for text in found.notes),
    ]


def _free(paths: list[Path], *, force: bool, asks: bool) -> None:
    there = [str(path) for path in paths if path.exists()]
    if not there or force:
        return
    if asks and typer.confirm(f"replace {' and '.join(there)}?", default=False, err=True):
        return
    hint = "name another file with --out, or replace it with --force"
    raise ConfigError("is there already; nothing was written", where=" and ".join(there), hint=hint)


@dataclass(frozen=True)
class _Draft:
    """Both files before they are written."""

    found: Found
    path: Path
    teacher: str
    student: str
    gpu: bool

    @property
    def smoke_path(self) -> Path:
        return self.path.with_name(f"{self.path.stem}_smoke{self.path.suffix}")

    def write(self, most_s: float) -> None:
        """Measure the networks, fit a budget into the seconds, write both files and say what they cost."""
        from pdsearch.search.planning.calibrate import Rates, busy
        from pdsearch.training.device import Engine

        device = "cuda" if self.gpu and _device() == "gpu" else "cpu"
        measured = Rates(self.found.shape, Engine(device, "bf16" if device == "cuda" else "fp32"))
        smoke, budget = self._smoke(measured), self._largest(measured, most_s)
        rates = [f"{one.images_per_s:,.0f} images/s with {one.model}" for one in measured.trained()]
        print_lines([f"{'one core' if device == 'cpu' else 'the GPU'} trains {', '.join(rates)}"])
        full_s = self._put(self.path, budget, measured, "the search.")
        smoke_s = self._put(
            self.smoke_path, smoke, measured, "a smoke test: does all work? Its ranking means nothing."
        )
        if full_s > most_s:
            least = "this is the least that is worth it; smaller networks, images or --image-size are faster"
            print_note(f"note: more than {about(most_s)}: {least}")
        for path, seconds in ((self.smoke_path, smoke_s), (self.path, full_s)):
            print_lines(
                [f"wrote {path}, about {about(seconds)}:  {shlex.join(['pdsearch', 'run', str(path)])}"]
            )
        if crowded := busy():
            print_note(f"note: {crowded}")
        print_note(
            "the times are estimates for this machine; `pdsearch plan FILE` says what is trained and stored"
        )

    def _smoke(self, measured: "Rates") -> Budget:
        """Return the smoke test's budget: as many images as take half a minute, a few of each class at least."""
        each = self._seconds(replace(SMOKE, subset=1000), measured) / 1000
        images = max(int(SMOKE_S / each), 8 * self.found.shape.classes, 64)
        return replace(SMOKE, subset=images) if images < self.found.shape.train else SMOKE

    def _largest(self, measured: "Rates", most_s: float) -> Budget:
        """Return the largest budget that fits into the seconds; the smallest where none does."""
        from pdsearch.search.planning.calibrate import START_S

        return next((b for b in BUDGETS if START_S + self._seconds(b, measured) <= most_s), BUDGETS[-1])

    def _seconds(self, budget: Budget, measured: "Rates") -> float:
        from pdsearch.search.planning.calibrate import seconds
        from pdsearch.search.planning.simulate import plan

        space = self._space(self._text("study", budget, []))
        share = 1 - space.resolve(space.defaults()).data.val_fraction
        images = int(share * (budget.subset or self.found.shape.train))
        return seconds(plan(space), measured, images, gpu=space.resources.gpu)

    def _put(self, path: Path, budget: Budget, measured: "Rates", what: str) -> float:
        """Write a file, once its space is found valid; return how long it runs, in seconds."""
        from pdsearch.search.planning.calibrate import START_S

        seconds = START_S + self._seconds(budget, measured)
        cost = f"About {about(seconds)} on this machine if no trial is stopped early."
        text = self._text(path.stem, budget, [f"Written by pdsearch init: {what}", cost])
        self._space(text)
        write_whole(path, text)
        return seconds

    def _text(self, study: str, budget: Budget, head: list[str]) -> str:
        return written(self.found, study, self.teacher, self.student, budget, gpu=self.gpu, head=head)

    def _space(self, text: str) -> "Space":
        from pdsearch.config import parse

        return parse(yaml.safe_load(text), source=str(self.path))
