"""docs/cli.md, written from the verbs' signatures and docstrings. `python -m tests.docs.cli_page` writes it."""

import enum
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from typer.models import ArgumentInfo

from pdsearch.cli.main import VERBS
from tests.architecture.tree import ROOT

FILE = ROOT / "docs" / "cli.md"
HEAD = """# The command line

Every verb with its arguments and options, as `pdsearch VERB -h` shows them; `--debug` anywhere shows the traceback
of an error, and `pdsearch --install-completion` completes verbs and options in a shell. How commands end:
[exit codes](exit_codes.md). Written from the code by `python -m tests.docs.cli_page`.
"""
_VALUES = {int: "NUMBER", float: "NUMBER", Path: "PATH"}


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(line for verb in VERBS for line in _entry(verb))])


def _entry(verb: str) -> Iterator[str]:
    module, name = VERBS[verb][0].split(":")
    function = getattr(import_module(module), name)
    hints = get_type_hints(function, include_extras=True)
    params = [(hints[p.name], p) for p in inspect.signature(function).parameters.values()]
    rows = [_row(get_args(hint)[0], get_args(hint)[1], param) for hint, param in params]
    words = [name for name, _ in rows if not name.startswith("-")]
    yield f"## `{verb}`\n"
    yield f"```text\npdsearch {' '.join([verb, *words, *(['[OPTIONS]'] if len(words) < len(rows) else [])])}\n```\n"
    yield f"{inspect.getdoc(function)}\n"
    if rows:
        yield "| | Meaning |\n|---|---|"
        yield from (f"| `{name}` | {meaning} |" for name, meaning in rows)
        yield ""


def _row(kind: Any, info: Any, param: inspect.Parameter) -> tuple[str, str]:
    """Return how an argument or option is written, and what it does."""
    of = next((part for part in (get_args(kind) or (kind,)) if part is not NoneType), kind)
    needed = param.default is inspect.Parameter.empty
    default = None if needed else getattr(param.default, "value", param.default)
    meaning = [" ".join(str(info.help or "").split()).replace("|", "\\|")]
    if isinstance(of, type) and issubclass(of, enum.Enum):
        meaning.append(f"One of {', '.join(choice.value for choice in of)}.")
    word = info.metavar or param.name.upper()
    if isinstance(info, ArgumentInfo):
        return word if needed else f"[{word}]", " ".join(meaning)
    # In an annotation, typer takes the first name for the default.
    names = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    shown = ", ".join(names or ["--" + param.name.replace("_", "-")])
    if of is bool:
        return shown, " ".join(meaning)
    meaning += [] if default is None else [f"Default: {default}."]
    return f"{shown} {info.metavar or _VALUES.get(of, word)}", " ".join(meaning)


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
