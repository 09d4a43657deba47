"""docs/api.md, written from the docstrings of the public names. `python -m tests.docs.api_page` writes it."""

import dataclasses
import inspect
import re
from typing import Any

import pdsearch
from tests.architecture.tree import ROOT

FILE = ROOT / "docs" / "api.md"
HEAD = """# The Python interface

`import pdsearch` loads nothing heavy; each name below is loaded when it is first used. These names, and
`__version__`, are public, and [what stays compatible](releasing.md#what-stays-compatible) says for how long; the
rest is private. [examples/](../examples/) has programs that use them. Written from the docstrings by
`python -m tests.docs.api_page`.
"""
GROUPS = {
    "Search, look, export": (
        "load_space run open_study export load_student load_teacher load_preprocess read_card"
        " Space StudyResults TrialRecord Ranking Ranked Observer Job Event Report Outcome"
    ),
    "The stages, called by hand": (
        "train_teacher prune distill TrainedTeacher TrainedStudent"
        " DataSpec TeacherSpec PruneSpec StudentSpec DistillSpec Recipe TrialSpec Progress"
    ),
    "Parts of one's own: for every kind": "parameter NoParams Options",
    "A pruning method": "pruning_method Batches prunable probe loss_gradients",
    "A loss": "distillation_loss Outputs logit_pair log_softened divergence cross_entropy",
    "A network": "model Network StagedNetwork",
    "A data source or an augmentation": "data_source Source RawData Images augmentation Augmentation Mixing",
    "A sampler": "sampler",
    "Errors": "PdsearchError ConfigError DataError StorageError",
}
SECTION = re.compile(r"^(Args|Returns|Raises|Source|When|Cost):$")


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    for title, names in GROUPS.items():
        known = [name for name in names.split() if name in pdsearch.__all__]
        if known:
            lines += [
                f"## {title}\n",
                *(text for name in known for text in entry(name, getattr(pdsearch, name))),
            ]
    return "\n".join(lines)


def entry(name: str, found: Any) -> list[str]:
    """Return what is said of one name: its signature, its docstring, and a class's public methods."""
    lines = [f"### `{name}`\n"]
    if callable(found) and not (inspect.isclass(found) and issubclass(found, Exception)):
        lines += ["```text", signature(name, found), "```\n"]
    lines += described(found)
    if inspect.isclass(found) and not issubclass(found, Exception):
        for method, function in vars(found).items():
            shown = inspect.isfunction(function) or isinstance(function, property)
            if shown and not method.startswith("_") and inspect.getdoc(function):
                summary = str(inspect.getdoc(function)).partition("\n\n")[0].replace("\n", " ")
                lines.append(f"- `.{method}{'' if isinstance(function, property) else '()'}`: {summary}")
        lines.append("")
    return lines


def signature(name: str, found: Any) -> str:
    """Return the line that calls it, without the types' modules."""
    try:
        text = str(inspect.signature(found))
    except (TypeError, ValueError):
        return name
    text = re.sub(r"<function .*? at 0x\w+>|<[\w ]+ object at [^>]*>|<factory>", "...", text)
    text = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text.replace("'", ""))
    # NumPy's alias, which its releases spell out differently.
    text = re.sub(r"ndarray\[(?:Any|tuple\[Any, \.\.\.\]), dtype\[(\w+)\]\]", r"NDArray[\1]", text)
    if len(name + text) <= 100:
        return name + text
    parts = re.split(r", (?=\*?\w+(?::|=|,|\)| ->)|\*,)", text[1 : text.rindex(")")])
    return f"{name}(\n    " + ",\n    ".join(parts) + f",\n{text[text.rindex(')') :]}"


def described(found: Any) -> list[str]:
    """Return a docstring as markdown: its sections become lists."""
    if not (callable(found) or inspect.isclass(found)) or not inspect.getdoc(found):
        return ["A type for signatures.\n"]
    if dataclasses.is_dataclass(found) and str(found.__doc__).startswith(
        f"{getattr(found, '__name__', '')}("
    ):
        return []
    lines: list[str] = []
    inside = False
    for line in str(inspect.getdoc(found)).splitlines():
        if heading := SECTION.match(line):
            lines += [f"*{heading[1]}*", ""]
            inside = True
        elif inside and re.match(r"^    \S", line):
            argument = re.match(r"^    (\w+): (.*)", line)
            lines.append(f"- `{argument[1]}`: {argument[2]}" if argument else f"- {line.strip()}")
        elif inside and line.startswith("        "):
            lines[-1] += f" {line.strip()}"
        else:
            inside = inside and not line.strip()
            lines.append(line)
    return [*lines, ""]


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
