"""`pdsearch list`: methods, losses, models and sources, and what can be set in each."""

import dataclasses
import json
from typing import Annotated

import typer

from pdsearch.cli.catalogue import KINDS, PartDescription, describe, names, with_layers
from pdsearch.cli.console import print_lines, print_table


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
