"""`pdsearch list`: methods, losses, models and sources, described by their docstrings, and what can be set in each."""

import dataclasses
import functools
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from pdsearch.cli.console import print_lines, print_table
from pdsearch.config.catalog import registry
from pdsearch.errors import ConfigError
from pdsearch.registry import AnyRegistry
from pdsearch.specs import Json

KINDS = {
    "methods": "prune.method",
    "losses": "distill.loss",
    "models": "teacher.model, student.model",
    "sources": "data.source",
    "augmentations": "data.augment",
    "samplers": "search.sampler",
}
"""Kind -> the keys of a space file that name such a part."""


@dataclass(frozen=True)
class ParameterInfo:
    """One parameter of a part, as its dataclass declares it; or an option of a model, as its builder does."""

    name: str
    type: str
    default: Json
    low: float | None = None
    high: float | None = None
    choices: tuple[Json, ...] | None = None
    log: bool = False
    help: str = ""

    @property
    def range(self) -> str:
        """The legal values, as text."""
        if self.choices is not None:
            return " | ".join(str(choice) for choice in self.choices)
        if self.low is None and self.high is None:
            return "any"
        low = "-inf" if self.low is None else f"{self.low:g}"
        high = "inf" if self.high is None else f"{self.high:g}"
        return f"{low} to {high}{', log' if self.log else ''}"


@dataclass(frozen=True)
class LayerInfo:
    """A layer whose output is a map, the shape of the map, (C, H, W), and which stage it is, if it is one."""

    name: str
    shape: tuple[int, ...]
    stage: str


@dataclass(frozen=True)
class PartDescription:
    """One registered part: its description, source and parameters.

    Args:
        kind: A key of `KINDS`.
        name: As a space file writes it.
        summary: The first paragraph of its docstring.
        source: Its section "Source".
        parameters: What can be set.
        details: The paragraphs after the first, up to the first section.
        when: Its section "When": what it is for, and what not.
        cost: Its section "Cost": what it adds to a trial.
        weights: The number of weights of a model for ten classes; None for other kinds.
        image_size: Height and width of the images for which weights and layers are shown.
        layers: Layers of a model whose outputs a loss can compare; only where it is asked for, see `with_layers`.
    """

    kind: str
    name: str
    summary: str
    source: str
    parameters: tuple[ParameterInfo, ...]
    details: str = ""
    when: str = ""
    cost: str = ""
    weights: int | None = None
    image_size: int | None = None
    layers: tuple[LayerInfo, ...] = ()


def list_parts(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)}; all of them if left out.")] = None,
    name: Annotated[str | None, typer.Argument(help="One part, with its parameters and its source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List pruning methods, losses, models, sources, augmentations and samplers; name one to see its parameters."""
    kinds = list(KINDS) if kind is None else [kind]
    chosen = [describe(k, n) for k in kinds for n in (names(k) if name is None else [name])]
    if name is not None:
        chosen = [with_layers(part) for part in chosen]
    if as_json:
        print(json.dumps([dataclasses.asdict(part) for part in chosen], indent=2))
    elif name is None:
        print_table(("kind", "name", "what it is"), [(part.kind, part.name, _told(part)) for part in chosen])
    else:
        _show(chosen[0])


def _told(part: PartDescription) -> str:
    images = (
        f"10 classes and images of {part.image_size}x{part.image_size}"
        if part.image_size != 32
        else "CIFAR-10"
    )
    size = f"{part.weights:,} weights for {images}." if part.weights is not None else ""
    return " ".join(text for text in (part.summary, size) if text)


def _show(part: PartDescription) -> None:
    titled = (("When", part.when), ("Cost", part.cost), ("Source", part.source))
    lines = [f"{part.name} ({KINDS[part.kind]}: {part.name})", _told(part)]
    lines += [*part.details.split("\n\n")] if part.details else []
    print_lines([*lines, *(f"{title}: {text}" for title, text in titled if text)])
    if part.parameters:
        rows = [(p.name, p.type, str(p.default), p.range, p.help) for p in part.parameters]
        print_table(("parameter", "type", "default", "range", "what it does"), rows)
    if part.layers:
        shown = [(layer.name, " x ".join(map(str, layer.shape)), layer.stage) for layer in part.layers]
        print_table(("layer", f"map for {part.image_size}x{part.image_size}", "stage"), shown)
        print_lines(
            ["A loss on features compares the stages, or the layers named as distill.teacher_layers."]
        )


def names(kind: str) -> list[str]:
    """Return the names of all parts of a kind, sorted.

    Raises:
        ConfigError: There is no such kind.
    """
    return _registry(kind).names()


def describe(kind: str, name: str) -> PartDescription:
    """Return the description of one part.

    Raises:
        ConfigError: There is no such kind, or no such part; the message lists the known ones.
    """
    entry = _registry(kind).get(name)
    text = docstring(entry)
    return PartDescription(
        kind,
        name,
        summary(text),
        section(text, "Source"),
        _options(entry, text) if kind == "models" else _parameters(getattr(entry, "params", None)),
        details(text),
        section(text, "When"),
        section(text, "Cost"),
        *((_weights(name), _size(name)) if kind == "models" else ()),
    )


def with_layers(part: PartDescription) -> PartDescription:
    """Return the description of a model with its layers; that of another part unchanged."""
    if part.kind != "models":
        return part
    import torch

    from pdsearch.models.features import map_layers

    size = _size(part.name)
    with torch.device("meta"):
        found = map_layers(_on_meta(part.name), torch.zeros(1, 3, size, size))
    layers = (LayerInfo(name, shape, stage) for name, (shape, stage) in found.items())
    return dataclasses.replace(part, layers=tuple(layers))


def _registry(kind: str) -> AnyRegistry:
    if kind not in KINDS:
        raise ConfigError(f"unknown kind of part {kind!r}", hint=f"known: {', '.join(KINDS)}")
    return registry(KINDS[kind].partition(",")[0])


def _parameters(params: type[Any] | None) -> tuple[ParameterInfo, ...]:
    return () if params is None else tuple(_parameter(f) for f in dataclasses.fields(params))


def _parameter(f: "dataclasses.Field[Any]") -> ParameterInfo:
    about = f.metadata
    return ParameterInfo(
        name=f.name,
        type=f.type if isinstance(f.type, str) else getattr(f.type, "__name__", str(f.type)),
        default=None if f.default is dataclasses.MISSING else f.default,
        low=about.get("low"),
        high=about.get("high"),
        choices=about.get("choices"),
        log=about.get("log", False),
        help=about.get("help", ""),
    )


def _options(builder: Callable[..., Any], text: str) -> tuple[ParameterInfo, ...]:
    from pdsearch.models.registry import options_of  # loads torch

    said = arguments(text)
    return tuple(
        ParameterInfo(
            name=name,
            type=_written(declared.annotation),
            default=list(declared.default) if isinstance(declared.default, tuple) else declared.default,
            help=said.get(name, ""),
        )
        for name, declared in options_of(builder).items()
    )


def _written(annotation: object) -> str:
    """Return an option's type in the terms of a space file; empty where none is declared."""
    if annotation is inspect.Parameter.empty:
        return ""
    return re.sub(r"[\w.]*\.", "", inspect.formatannotation(annotation)).replace("Sequence", "list")


def _weights(name: str) -> int:
    from pdsearch.models import count_params

    return count_params(_on_meta(name))


def _size(name: str) -> int:
    from pdsearch.models.registry import usual_size

    return usual_size(name)


def _on_meta(name: str) -> Any:
    """Return a network of ten classes without values, for images of its usual size."""
    from pdsearch.models import build_on_meta

    return build_on_meta(name, num_classes=10, input_shape=(3, _size(name), _size(name)))


def docstring(entry: object) -> str:
    """Return the docstring of a part's implementation: a score, a loss, a network's class, a source's class."""
    for attribute in ("score", "loss"):
        entry = getattr(entry, attribute, entry)
    while isinstance(entry, functools.partial):
        entry = entry.func
    if not inspect.isroutine(entry) and not inspect.isclass(entry):
        entry = type(entry)
    return inspect.cleandoc(entry.__doc__ or "")


def summary(text: str) -> str:
    """Return the first paragraph, on one line."""
    return _joined(text.split("\n\n")[0])


def details(text: str) -> str:
    """Return the paragraphs between the first one and the first section, which begins as `Title:` alone on a line."""
    found = []
    for paragraph in text.split("\n\n")[1:]:
        if paragraph.splitlines()[0].endswith(":"):
            break
        found.append(_joined(paragraph))
    return "\n\n".join(found)


def section(text: str, title: str) -> str:
    """Return the indented text under a section's title, on one line; empty where there is none."""
    return _joined(_indented(text, title))


def arguments(text: str) -> dict[str, str]:
    """Return what the section "Args" says of each argument, on one line each."""
    found = re.split(r"^    (\w+): ", _indented(text, "Args"), flags=re.MULTILINE)
    return {name: _joined(said) for name, said in zip(found[1::2], found[2::2], strict=True)}


def _indented(text: str, title: str) -> str:
    _, found, rest = text.partition(f"{title}:\n")
    lines = []
    for line in rest.splitlines() if found else []:
        if line and not line.startswith(" "):
            break
        lines.append(line)
    return "\n".join(lines)


def _joined(text: str) -> str:
    return " ".join(text.split())
