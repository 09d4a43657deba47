"""The tables of docs/space.md, one a section, from the schema; run this module to write them."""

from pathlib import Path
from typing import Any

from pdsearch.config.sections import (
    Confirm,
    DataSection,
    DistillSection,
    File,
    HalvingSection,
    ObjectiveSection,
    ParameterForm,
    PruneSection,
    RecipeSection,
    Resources,
    SearchSection,
    Section,
    StopSection,
    StudentSection,
    TeacherSection,
)
from tests.docs.tables import filled

PAGE = Path(__file__).parents[2] / "docs" / "space.md"
SECTIONS: dict[str, type[Section]] = {
    "file": File,
    "data": DataSection,
    "teacher": TeacherSection,
    "student": StudentSection,
    "train": RecipeSection,
    "prune": PruneSection,
    "distill": DistillSection,
    "space": ParameterForm,
    "search": SearchSection,
    "stop": StopSection,
    "halving": HalvingSection,
    "objectives": ObjectiveSection,
    "confirm": Confirm,
    "resources": Resources,
}


def table(section: type[Section]) -> str:
    """The table of a section: key, default, meaning."""
    rows = ["| Key | Default | Meaning |", "|---|---|---|"]
    schema: dict[str, Any] = section.model_json_schema()["properties"]
    for name, info in section.model_fields.items():
        default = schema[name].get("default", "")
        shown = (
            "off" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        )
        words = schema[name].get("enum") or []
        meaning = " ".join([str(info.description), *([f"One of {', '.join(words)}."] if words else [])])
        rows.append(f"| `{name}` | {f'`{shown}`' if shown else ''} | {meaning} |")
    return "\n".join(rows)


def written(page: str) -> str:
    """The page with every table as it must be."""
    return filled(page, {f"table {name}": table(section) for name, section in SECTIONS.items()})


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
